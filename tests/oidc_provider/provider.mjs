// An identity platform for the tests: npm `oidc-provider`, with a sign-in page of two fields. What it is asked to be comes as
// JSON in the first argument: port, client (redirect address, way to prove itself, public key), and the accounts it knows.
import { generateKeyPairSync } from 'node:crypto';
import Provider from 'oidc-provider';

const asked = JSON.parse(process.argv[2]);
const issuer = `http://127.0.0.1:${asked.port}`;
const accounts = new Map(asked.accounts.map((account) => [account.login, account]));

const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const key = { ...privateKey.export({ format: 'jwk' }), alg: 'ES256', use: 'sig', kid: 'only' };

const client = {
  client_id: asked.client_id,
  grant_types: ['authorization_code'],
  response_types: ['code'],
  redirect_uris: [asked.redirect_uri],
  post_logout_redirect_uris: [asked.post_logout_redirect_uri],
  backchannel_logout_uri: asked.backchannel_logout_uri,
  backchannel_logout_session_required: true,
  id_token_signed_response_alg: 'ES256',
  require_auth_time: true,
  ...(asked.client_key
    ? {
        token_endpoint_auth_method: 'private_key_jwt',
        token_endpoint_auth_signing_alg: 'ES256',
        jwks: { keys: [asked.client_key] },
      }
    : { token_endpoint_auth_method: 'client_secret_basic', client_secret: asked.client_secret }),
};

const provider = new Provider(issuer, {
  clients: [client],
  jwks: { keys: [key] },
  cookies: { keys: ['only for tests'] },
  pkce: { required: () => true },
  acrValues: ['urn:example:basic', 'urn:example:real-name'],
  claims: { openid: ['sub'], profile: ['name'], acr: null, auth_time: null, sid: null, iss: null },
  features: {
    devInteractions: { enabled: false },
    pushedAuthorizationRequests: { enabled: true, requirePushedAuthorizationRequests: asked.par },
    backchannelLogout: { enabled: true },
    rpInitiatedLogout: { enabled: true },
    userinfo: { enabled: true },
  },
  interactions: { url: (_, interaction) => `/interaction/${interaction.uid}` },
  findAccount: async (_, login) => {
    const account = accounts.get(login);
    return account && { accountId: login, claims: async () => ({ sub: login, name: account.name }) };
  },
  // Its guard against addresses of this machine comes as a dispatcher; here the gateway is at one.
  fetch: (url, { dispatcher, ...options }) => fetch(url, options),
});

provider.on('backchannel.error', (_, error) => console.error('back-channel logout:', error));

provider.use(async (context, next) => {
  const { path, method } = context;
  if (!path.startsWith('/interaction/')) return next();
  const details = await provider.interactionDetails(context.req, context.res);
  if (method === 'GET') {
    context.type = 'html';
    context.body = `<!doctype html><title>Identity platform</title><h1>Identity platform</h1>
      <p id="asked">${details.prompt.name} ${details.params.acr_values ?? ''}</p>
      <form method="post" autocomplete="off"><input name="login" id="login"><button id="enter">Enter</button></form>`;
    return;
  }
  let body = '';
  for await (const chunk of context.req) body += chunk;
  const account = accounts.get(new URLSearchParams(body).get('login'));
  const grant = new provider.Grant({ accountId: account.login, clientId: asked.client_id });
  grant.addOIDCScope(details.params.scope);
  // An account without a level of its own is proven as far as it is asked to be, and no further.
  const basic = 'urn:example:basic';
  const wanted = (details.params.acr_values ?? basic).split(' ');
  const acr = account.acr ?? (wanted.includes(basic) ? basic : wanted[0]);
  const result = {
    login: { accountId: account.login, acr, amr: ['pwd'] },
    consent: { grantId: await grant.save() },
  };
  await provider.interactionFinished(context.req, context.res, result, { mergeWithLastSubmission: false });
  context.respond = false;
});

provider.listen(asked.port, '127.0.0.1', () => console.log(`ready ${issuer}`));
