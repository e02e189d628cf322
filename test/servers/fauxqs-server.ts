/** fauxqs, an S3 server from npm, in a process of its own. Its own program listens on every interface; this one does not. */
import { buildApp } from 'fauxqs'

const app = buildApp({ logger: false })
await app.listen({ host: '127.0.0.1', port: Number(process.argv[2]) })
