// A platform's program that signs people in with openid-client: it knows the issuer and its own credentials, and finds the rest by
// discovery. `node client.mjs` takes one JSON line on standard input, says `listening`, and ends with its input.
import { createServer } from 'node:http'
import { createInterface } from 'node:readline'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { createRemoteJWKSet, jwtVerify } from 'jose'
import * as oidc from 'openid-client'

const lines = createInterface({ input: process.stdin })
const [line] = await once(lines, 'line')
lines.on('close', () => process.exit(0))
const { issuer, client_id, secret, key, port, scope, push } = JSON.parse(line)
const base = `http://localhost:${port}`

async function credentials() {
  if (secret) return oidc.ClientSecretBasic(secret)
  const der = Buffer.from(key.replace(/-----[^-]+-----/g, ''), 'base64')
  const algorithm = { name: 'ECDSA', namedCurve: 'P-256' }
  return oidc.PrivateKeyJwt({ key: await crypto.subtle.importKey('pkcs8', der, algorithm, false, ['sign']), kid: 'k1' })
}

const config = await oidc.discovery(new URL(issuer), client_id, undefined, await credentials())
oidc.enableNonRepudiationChecks(config) // the ID token's signature is checked by the published keys
const keys = createRemoteJWKSet(new URL(config.serverMetadata().jwks_uri))
const [started, sessions, told] = [new Map(), new Map(), []]

async function signIn(response) {
  const [verifier, state, nonce] = [oidc.randomPKCECodeVerifier(), oidc.randomState(), oidc.randomNonce()]
  const wanted = {
    redirect_uri: `${base}/callback`, scope, state, nonce,
    code_challenge: await oidc.calculatePKCECodeChallenge(verifier), code_challenge_method: 'S256',
  }
  started.set(state, { verifier, nonce })
  const way = push ? oidc.buildAuthorizationUrlWithPAR : oidc.buildAuthorizationUrl
  response.writeHead(302, { location: (await way(config, wanted)).href }).end()
}

async function callback(url, response) {
  const expectedState = url.searchParams.get('state')
  const { verifier, nonce } = started.get(expectedState)
  started.delete(expectedState)
  const checks = { pkceCodeVerifier: verifier, expectedState, expectedNonce: nonce, idTokenExpected: true }
  const tokens = await oidc.authorizationCodeGrant(config, url, checks)
  const claims = tokens.claims()
  const info = await oidc.fetchUserInfo(config, tokens.access_token, claims.sub)
  const id = randomUUID()
  sessions.set(id, { tokens, claims, info })
  const cookie = `${client_id}=${id}; HttpOnly; SameSite=Lax; Path=/`
  response.writeHead(302, { location: '/', 'set-cookie': cookie }).end()
}

async function logout(request, response) {
  let body = ''
  for await (const piece of request) body += piece
  const options = { issuer, audience: client_id, typ: 'logout+jwt', requiredClaims: ['iat', 'jti', 'events', 'sid'], maxTokenAge: '2m' }
  const { payload } = await jwtVerify(new URLSearchParams(body).get('logout_token'), keys, options)
  if (!payload.events['http://schemas.openid.net/event/backchannel-logout'] || 'nonce' in payload) throw new Error('no logout token')
  for (const [id, session] of sessions) if (session.claims.sid === payload.sid) sessions.delete(id)
  told.push(payload.sid)
  response.writeHead(200, { 'cache-control': 'no-store' }).end()
}

/** What can be done with tokens besides: refresh, introspect, revoke. */
async function lifeOf({ tokens }) {
  const refreshed = await oidc.refreshTokenGrant(config, tokens.refresh_token)
  const before = await oidc.tokenIntrospection(config, refreshed.access_token)
  await oidc.tokenRevocation(config, refreshed.refresh_token)
  const after = await oidc.tokenIntrospection(config, refreshed.access_token)
  return { rotated: refreshed.refresh_token !== tokens.refresh_token, before: before.active, after: after.active }
}

async function answer(request, response) {
  const url = new URL(request.url, base)
  const cookies = new Map((request.headers.cookie ?? '').split('; ').map((pair) => pair.split('=')))
  const session = sessions.get(cookies.get(client_id))
  const page = (text) => response.writeHead(200, { 'content-type': 'text/html' }).end(`<body id="page">${text}</body>`)
  if (url.pathname === '/callback') return callback(url, response)
  if (url.pathname === '/logout') return logout(request, response)
  if (url.pathname === '/told') return page(`told ${told.length}`)
  if (url.pathname === '/bye') return page('bye')
  if (!session) return url.pathname === '/' ? signIn(response) : response.writeHead(404).end()
  if (url.pathname === '/leave') {
    const wanted = { post_logout_redirect_uri: `${base}/bye`, id_token_hint: session.tokens.id_token }
    return response.writeHead(302, { location: oidc.buildEndSessionUrl(config, wanted).href }).end()
  }
  if (url.pathname === '/life') return page(JSON.stringify(await lifeOf(session)))
  page(`signed in: ${JSON.stringify({ ...session.claims, name: session.info.name })}`)
}

const server = createServer((request, response) => {
  answer(request, response).catch((error) => {
    console.error(error)
    response.writeHead(500).end(`<body id="page">failed: ${error.code ?? ''} ${error.message}</body>`)
  })
})
server.listen(port, '127.0.0.1', () => console.log('listening'))
