/** webdav-server, a WebDAV server from npm, over a folder, in a process of its own. Asks for a name and a password. */
import { v2 as webdav } from 'webdav-server'

const [, , port = '', folder = '', password = ''] = process.argv
const users = new webdav.SimpleUserManager()
const user = users.addUser('holdfast', password, false)
const rights = new webdav.SimplePathPrivilegeManager()
rights.setRights(user, '/', ['all'])
const server = new webdav.WebDAVServer({
  hostname: '127.0.0.1',
  port: Number(port),
  requireAuthentification: true,
  httpAuthentication: new webdav.HTTPBasicAuthentication(users, 'holdfast'),
  privilegeManager: rights,
})
server.setFileSystem('/store', new webdav.PhysicalFileSystem(folder), () => server.start(() => undefined))
