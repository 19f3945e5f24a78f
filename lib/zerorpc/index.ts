/** zerorpc v3 on zeromq 6: usable alone as `peerstreamer/zerorpc`; knows nothing of video. */
export { type CallOptions, type ClientCurve, type Reply, RpcClient, type StreamOptions } from './client.ts'
export { curveKeyBytes, type KeyPair, keyPairOf, newKeyPair } from './curve.ts'
export type { RpcOptions } from './options.ts'
export { WithPayload } from './payload.ts'
export {
  type CallContext,
  type Handler,
  type Method,
  RpcServer,
  type RpcServerOptions,
  type ServerCurve,
} from './server.ts'
