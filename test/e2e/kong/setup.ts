import type { TestProject } from 'vitest/node'

declare module 'vitest' {
  interface ProvidedContext {
    kongUrl: string
    kongAdminUrl: string
  }
}

const HOW = `It needs a Kong 3 without a database that has the plugin, on this machine's own network:

  docker run --rm --network host -v "$PWD/integrations/kong:/plugin:ro" -e KONG_DATABASE=off -e KONG_PLUGINS=bundled,warder \\
    -e "KONG_LUA_PACKAGE_PATH=/plugin/?.lua;;" -e KONG_PROXY_LISTEN=127.0.0.1:8000 -e KONG_ADMIN_LISTEN=127.0.0.1:8001 kong:3.9
  KONG_URL=http://127.0.0.1:8000 KONG_ADMIN_URL=http://127.0.0.1:8001 npm run test:kong`

/** Finds the Kong. Fails the run without one: what was not tested must not look as if it had been. */
export async function setup(project: TestProject): Promise<void> {
  const url = process.env['KONG_URL'] ?? ''
  const adminUrl = process.env['KONG_ADMIN_URL'] ?? ''
  if (url === '' || adminUrl === '') throw new Error(`KONG_URL and KONG_ADMIN_URL must be set.\n${HOW}`)
  if (!(await hasPlugin(adminUrl)))
    throw new Error(`${adminUrl} is not the admin API of a Kong with the plugin.\n${HOW}`)
  project.provide('kongUrl', url)
  project.provide('kongAdminUrl', adminUrl)
}

/** Whether this is the admin API of a Kong that can run the plugin. */
async function hasPlugin(adminUrl: string): Promise<boolean> {
  try {
    const information = (await (await fetch(adminUrl)).json()) as {
      readonly plugins?: { readonly available_on_server?: Readonly<Record<string, unknown>> }
    }
    return information.plugins?.available_on_server?.['warder'] !== undefined
  } catch {
    return false
  }
}
