// A real OpenID provider for the tests: `oidc-provider`, with its own development pages for logging in.
// node server.mjs PORT DIRECTORY: accounts.json and jwks.json are read from DIRECTORY; SIGHUP reads the keys anew.
import { readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { join } from 'node:path'
import Provider from 'oidc-provider'

const [port, directory] = [Number(process.argv[2]), process.argv[3]]
const issuer = `http://127.0.0.1:${port}`
const read = (name) => JSON.parse(readFileSync(join(directory, name), 'utf8'))
const device = 'urn:ietf:params:oauth:grant-type:device_code'

function provider () {
  const made = new Provider(issuer, {
    clients: [
      {
        client_id: 'scutum',
        client_secret: 'a secret with : and % in it, long enough',
        redirect_uris: ['http://127.0.0.1:5173/callback'],
        grant_types: ['authorization_code', device],
        response_types: ['code'],
      },
      {
        client_id: 'public',
        token_endpoint_auth_method: 'none',
        redirect_uris: ['http://127.0.0.1:5173/callback'],
        grant_types: ['authorization_code', device],
        response_types: ['code'],
      },
    ],
    claims: { openid: ['sub'], email: ['email', 'email_verified'], profile: ['name'], groups: ['groups'] },
    scopes: ['openid', 'email', 'profile', 'groups'],
    features: { deviceFlow: { enabled: true }, devInteractions: { enabled: true } },
    pkce: { required: () => true },
    cookies: { keys: ['one of the tests'] },
    jwks: read('jwks.json'),
    async findAccount (context, id) {
      const account = read('accounts.json')[id]
      return account && { accountId: id, claims: () => ({ sub: id, ...account }) }
    },
  })
  return made.callback()
}

let answer = provider()
process.on('SIGHUP', () => { answer = provider() })
createServer((request, response) => answer(request, response)).listen(port, '127.0.0.1')
