// A resolve hook: `webrtc-polyfill`, whose native part is not built, becomes an empty stub.
export function resolve(name, context, next) {
  if (name !== 'webrtc-polyfill') return next(name, context)
  const names = ['RTCPeerConnection', 'RTCSessionDescription', 'RTCIceCandidate']
  const source = `${names.map((one) => `export const ${one} = undefined`).join('\n')}\nexport default {}\n`
  return { url: `data:text/javascript,${encodeURIComponent(source)}`, shortCircuit: true }
}
