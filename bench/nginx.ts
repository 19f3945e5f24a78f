import { spawnSync } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type Bench, newFolder } from './bench.ts'
import { withChildren } from './process-cost.ts'
import { answers, freePort, type Program } from './programs.ts'

export interface NginxProcess {
  port: number
  folder: string
  /** The master and its workers. */
  pids: number[]
  program: Program
}

/** Runs nginx with a configuration of its own in a folder of its own. `site` writes what goes into the http block. */
export async function startNginx(
  bench: Bench,
  name: string,
  site: (port: number, folder: string) => string,
): Promise<NginxProcess> {
  const folder = await newFolder(bench, 'nginx')
  const port = await freePort()
  const path = join(folder, 'nginx.conf')
  await writeFile(path, configuration(folder, site(port, folder)))
  const program = bench.programs.start(name, nginxPath, ['-e', 'stderr', '-p', folder, '-c', path])
  await answers(program, port)
  return { port, folder, program, pids: withChildren(program.pid) }
}

/** Debian has it in a folder that is not in everyone's PATH. */
export const nginxPath = ['nginx', '/usr/sbin/nginx'].find((path) => spawnSync(path, ['-v']).status === 0) ?? ''

export function nginxMissing(): string | undefined {
  if (nginxPath === '') return 'nginx is not installed'
  return spawnSync('curl', ['--version']).status === 0 ? undefined : 'curl is not installed'
}

function configuration(folder: string, site: string): string {
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(
    (kind) => `${kind}_temp_path ${folder}/${kind};`,
  )
  return `
${process.getuid?.() === 0 ? 'user root;' : ''}
daemon off;
worker_processes auto;
pid ${folder}/nginx.pid;
error_log stderr error;
events { worker_connections 1024; }
http {
  access_log off;
  sendfile on;
  tcp_nopush on;
  keepalive_requests 1000000;
  keepalive_timeout 300s;
  default_type application/octet-stream;
  ${temporary.join('\n  ')}
  ${site}
}
`
}
