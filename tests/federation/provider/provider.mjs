// An OpenID provider on a loopback port: says where it is in one line of JSON, takes new keys for each line "rotate" that
// it reads (and says so), and ends with its input. usage: node provider.mjs FOLDER (where node_modules is)
import { createServer } from 'node:http';
import { generateKeyPairSync } from 'node:crypto';
import { createInterface } from 'node:readline';
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';
import path from 'node:path';

const require = createRequire(path.join(process.argv[2], 'package.json'));
const { default: Provider } = await import(pathToFileURL(require.resolve('oidc-provider')).href);

const API = 'urn:cloud:api';
const ACCOUNTS = {
  jane: { password: 'open sesame', email: 'jane@example.com', preferred_username: 'jane.doe', groups: ['dev', 'ops'] },
};

function newKey(number) {
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  return { ...privateKey.export({ format: 'jwk' }), kid: `key-${number}`, use: 'sig', alg: 'RS256' };
}

const apiServer = { scope: '', audience: API, accessTokenFormat: 'jwt', accessTokenTTL: 600, jwt: { sign: { alg: 'RS256' } } };

function configuration(key) {
  const client = {
    client_secret: 'hush',
    redirect_uris: ['http://127.0.0.1:1/identity/v3/auth/OS-FEDERATION/websso/openid'],
    grant_types: ['authorization_code', 'client_credentials', 'password'],
  };
  return {
    clients: [{ ...client, client_id: 'drystone' }, { ...client, client_id: 'others' }],
    cookies: { keys: ['a key of the tests'] },
    jwks: { keys: [key] },
    claims: { openid: ['sub'], email: ['email'], profile: ['preferred_username', 'groups'] },
    features: {
      devInteractions: { enabled: false },
      clientCredentials: { enabled: true },
      introspection: { enabled: true },
      resourceIndicators: {
        enabled: true,
        defaultResource: () => undefined,
        getResourceServerInfo: () => apiServer,
        useGrantedResource: () => true,
      },
    },
    interactions: { url: (ctx, interaction) => `/login/${interaction.uid}` },
    ttl: { AccessToken: 600, ClientCredentials: 600, IdToken: 600, Interaction: 600, Session: 600, Grant: 600 },
    async findAccount(ctx, id) {
      const { password, ...told } = ACCOUNTS[id] ?? {};
      return { accountId: id, claims: async () => ({ sub: id, ...told }) };
    },
    // Nobody is asked whether they agree.
    async loadExistingGrant(ctx) {
      const grant = new ctx.oidc.provider.Grant({
        accountId: ctx.oidc.session.accountId, clientId: ctx.oidc.client.clientId,
      });
      grant.addOIDCScope('openid email profile');
      await grant.save();
      return grant;
    },
  };
}

function known(username, password) {
  return ACCOUNTS[username] !== undefined && ACCOUNTS[username].password === password;
}

async function passwordGrant(provider, ctx, next) {
  const { client, params } = ctx.oidc;
  if (!known(params.username, params.password)) {
    ctx.status = 400;
    ctx.body = { error: 'invalid_grant' };
    return;
  }
  const grant = new provider.Grant({ accountId: params.username, clientId: client.clientId });
  grant.addOIDCScope(params.scope ?? 'openid');
  const token = new provider.AccessToken({
    accountId: params.username, client, grantId: await grant.save(), gty: 'password', scope: params.scope ?? 'openid',
  });
  if (params.resource) token.resourceServer = new provider.ResourceServer(API, apiServer);
  ctx.body = { access_token: await token.save(), token_type: 'Bearer', expires_in: 600 };
  await next();
}

async function login(provider, request, response) {
  if (request.method !== 'POST') {
    response.setHeader('Content-Type', 'text/html');
    response.end(`<form method="post" action="${request.url}"><input name="username"><input name="password"></form>`);
    return;
  }
  let body = '';
  for await (const chunk of request) body += chunk;
  const form = new URLSearchParams(body);
  const result = known(form.get('username'), form.get('password'))
    ? { login: { accountId: form.get('username') } }
    : { error: 'access_denied' };
  await provider.interactionFinished(request, response, result, { mergeWithLastSubmission: false });
}

function serve(issuer, number) {
  const provider = new Provider(issuer, configuration(newKey(number)));
  provider.registerGrantType(
    'password', (ctx, next) => passwordGrant(provider, ctx, next), ['username', 'password', 'scope', 'resource'],
  );
  const answer = provider.callback();
  return (request, response) => (
    request.url.startsWith('/login/') ? login(provider, request, response) : answer(request, response)
  );
}

console.info = console.error; // the output is what we say
console.log = console.error;
const say = (told) => process.stdout.write(`${JSON.stringify(told)}\n`);
let handler;
let keys = 1;
const server = createServer((request, response) => handler(request, response));
server.listen(0, '127.0.0.1', () => {
  const issuer = `http://127.0.0.1:${server.address().port}`;
  handler = serve(issuer, keys);
  say({ issuer });
  const input = createInterface({ input: process.stdin });
  input.on('line', () => {
    keys += 1;
    handler = serve(issuer, keys);
    say({ keys });
  });
  input.on('close', () => process.exit(0));
});
