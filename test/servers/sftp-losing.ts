/**
 * Stands between sshd and its sftp-server: `sftp-losing.ts SERVER FILE ARG…`. While FILE names a kind of request (the
 * number of its packet), the next such request is done, and its connection ended in place of the answer.
 */
import { spawn } from 'node:child_process'
import { readFileSync, rmSync } from 'node:fs'

const [, , server = '', file = '', ...args] = process.argv
const child = spawn(server, args, { stdio: ['pipe', 'pipe', 'inherit'] })
let lost: number | undefined

/** Each packet of a stream: length, type, id, and what follows. */
function packets(see: (packet: Buffer) => void): (chunk: Buffer) => void {
  let rest: Buffer = Buffer.alloc(0)
  return (chunk) => {
    rest = Buffer.concat([rest, chunk])
    while (rest.length >= 4 && rest.length >= 4 + rest.readUInt32BE(0)) {
      const length = 4 + rest.readUInt32BE(0)
      see(rest.subarray(0, length))
      rest = rest.subarray(length)
    }
  }
}

function wanted(): number | undefined {
  try {
    return Number(readFileSync(file, 'utf8'))
  } catch {
    return undefined
  }
}

process.stdin.on(
  'data',
  packets((packet) => {
    if (lost === undefined && packet[4] === wanted()) {
      lost = packet.readUInt32BE(5)
      rmSync(file)
    }
    child.stdin.write(packet)
  }),
)
process.stdin.on('end', () => child.stdin.end())
child.stdout.on(
  'data',
  packets((packet) => {
    if (lost !== undefined && packet.readUInt32BE(5) === lost) {
      child.kill('SIGKILL')
      process.exit(1)
    }
    process.stdout.write(packet)
  }),
)
child.on('exit', (code) => process.exit(code ?? 1))
