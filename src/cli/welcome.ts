/** What a person needs after a start: where the server listens and, on a database that began with the demo, how to ask. */
export function welcome(
  addresses: { readonly decisions: string; readonly admin: string; readonly extAuthz: string },
  demo: { readonly tenant: string; readonly gatewayKey: string; readonly adminToken: string } | undefined,
): string {
  const lines = [
    'Warder is ready.',
    `  decisions   ${addresses.decisions}  (POST /v1/decide, /access/v1/evaluation; OpenAPI at /openapi.json)`,
    `  ext_authz   ${addresses.extAuthz}  (Envoy, HTTP)`,
    `  admin       ${addresses.admin}  (/livez, /readyz, /metrics; API at /v1, documented at /docs)`,
  ]
  if (demo !== undefined) {
    lines.push(
      `  demo tenant \`${demo.tenant}\`: gateway key ${demo.gatewayKey}, admin token ${demo.adminToken}`,
      '',
      'Ask whether an agent may list repositories for alice:',
      curl(addresses.decisions, demo.gatewayKey),
    )
  }
  return `${lines.join('\n')}\n`
}

function curl(decisions: string, key: string): string {
  const body = JSON.stringify({ agent: 'triage-bot', user: 'alice', tool: 'github/list_repos' })
  return `curl -s ${decisions}/v1/decide -H 'Authorization: Bearer ${key}' -H 'Content-Type: application/json' -d '${body}'`
}
