import type { Command } from 'commander'
import { readTextFile } from '#admin/policy-folder.ts'
import type { EpochMilliseconds } from '#lib/clock.ts'
import type { TenantId } from '#model/ids.ts'
import type { Issuer } from '#model/issuer.ts'
import { type CliContext, optionalTenant, tenantColumn, tenantOf, tenantPages } from './context.ts'
import { CliFailure, EXIT, fromAdmin } from './failure.ts'
import { explain, printRules, tokenIn } from './identity-commands.ts'

/** `warder issuer add|test|reload|list|remove`. */
export function addIssuerCommands(program: Command, context: CliContext): void {
  const issuer = program.command('issuer').description('issuers: whose access tokens are believed')
  issuer
    .command('add')
    .argument('<file>', 'JSON file with issuer, audience and jwks or jwks_uri')
    .requiredOption('--tenant <tenant>', 'tenant that trusts the issuer')
    .description('add an issuer, or replace the one of the same name')
    .action(async (file: string, flags: { readonly tenant: string }, command: Command) => {
      const output = context.output(command)
      const text = await readTextFile(file)
      if (!text.ok) throw fromAdmin(text.failure)
      // Loaded only now: it brings the verifier of tokens along.
      const { putIssuer } = await import('#admin/issuers.ts')
      await context.database(output, async ({ store }) => {
        const put = await putIssuer(store, { tenant: flags.tenant, text: text.value })
        if (!put.ok) {
          const details = put.failure.problems.map((problem) => ({ ...problem, help: undefined }))
          throw fromAdmin(put.failure, details)
        }
        output.object(put.value, [`added issuer ${put.value.issuer}`])
        for (const warning of put.value.warnings) output.note(`warning: ${warning}`)
      })
    })
  addTestCommand(issuer, context)
  addReloadCommand(issuer, context)
  issuer
    .command('remove')
    .argument('<issuer>', 'its `issuer` value')
    .requiredOption('--tenant <tenant>', 'tenant that trusts it')
    .description('end the trust in an issuer: its tokens are not believed any more')
    .action(async (name: string, flags: { readonly tenant: string }, command: Command) => {
      const output = context.output(command)
      const { removeIssuer } = await import('#admin/issuers.ts')
      await context.database(output, async ({ store }) => {
        const removed = await removeIssuer(store, { tenant: flags.tenant, issuer: name })
        if (!removed.ok) throw fromAdmin(removed.failure)
        output.object({ ...removed.value, removed: true }, [`removed issuer ${name}`])
      })
    })
  issuer
    .command('list')
    .option('--tenant <tenant>', 'only one tenant (default: all)')
    .description('list the issuers of a tenant')
    .action(async (flags: { readonly tenant?: string }, command: Command) => {
      const output = context.output(command)
      const tenant = optionalTenant(flags.tenant)
      await context.database(output, async ({ store }) => {
        await output.list(
          tenantPages(
            store,
            tenant,
            (each, page) => store.listIssuers(each, page),
            (row) => row.issuer,
          ),
          [
            ...tenantColumn(tenant),
            { heading: 'issuer', cell: (row) => row.issuer },
            { heading: 'audience', cell: (row) => row.audience.join(' ') },
            { heading: 'algorithms', cell: (row) => row.algorithms.join(' ') },
            {
              heading: 'keys',
              cell: ({ keys }) => (keys.kind === 'remote' ? keys.url : `${keys.keys.length} given`),
            },
          ],
          'no issuers yet; add one with `warder issuer add FILE --tenant TENANT`',
        )
      })
    })
}

function addReloadCommand(issuer: Command, context: CliContext): void {
  issuer
    .command('reload')
    .argument('<issuer>', 'its `issuer` value')
    .requiredOption('--tenant <tenant>', 'tenant that trusts it')
    .description('make every server forget the keys of an issuer and fetch them anew')
    .action(async (name: string, flags: { readonly tenant: string }, command: Command) => {
      const output = context.output(command)
      const { reloadIssuer } = await import('#admin/issuers.ts')
      await context.database(output, async ({ store }) => {
        const reloaded = await reloadIssuer(store, { tenant: flags.tenant, issuer: name })
        if (!reloaded.ok) throw fromAdmin(reloaded.failure)
        output.object({ ...reloaded.value, reloaded: true }, [`the keys of ${name} are fetched anew`])
      })
    })
}

/** Needs no database: nothing is stored. */
function addTestCommand(issuer: Command, context: CliContext): void {
  issuer
    .command('test')
    .argument('<file>', 'JSON file as for `issuer add`')
    .option('--token <file>', 'file with an access token to judge; it is never shown')
    .option('--tenant <tenant>', 'tenant that a tenant claim must name', 'test')
    .description('check an issuer file, fetch its keys, and judge a token by it; nothing is stored')
    .action(async (file: string, flags: TestFlags, command: Command) => {
      const output = context.output(command)
      const text = await readTextFile(file)
      if (!text.ok) throw fromAdmin(text.failure)
      const { readIssuerFile } = await import('#admin/issuers.ts')
      const read = readIssuerFile(text.value)
      if (!read.ok) {
        const details = read.failure.problems.map((problem) => ({ ...problem, help: undefined }))
        throw fromAdmin(read.failure, details)
      }
      const tenant = tenantOf(flags.tenant)
      const keys = await countKeys(tenant, read.value)
      if (flags.token === undefined) {
        output.object({ issuer: read.value.issuer, keys }, [`the file is good and gives ${keys} keys`])
        return
      }
      const now = Date.now() as EpochMilliseconds
      printRules(output, await explain(await tokenIn(flags.token), { tenant, issuers: [read.value], now }))
    })
}

interface TestFlags {
  readonly token?: string
  readonly tenant: string
}

async function countKeys(tenant: TenantId, issuer: Issuer): Promise<number> {
  const [{ createKeySets }, { createFetchJwks }, { systemClock }] = await Promise.all([
    import('#identity/key-sets.ts'),
    import('#identity/jwks-fetch.ts'),
    import('#lib/clock.ts'),
  ])
  let cause = 'there are none'
  const onFault = (_: string, fault: string) => {
    cause = fault
  }
  const sets = createKeySets({ fetch: createFetchJwks(), clock: systemClock, onFault })
  const current = await sets.load(tenant, issuer)
  sets.close()
  if (current !== undefined) return current.set.size
  throw new CliFailure(EXIT.wrong, {
    code: 'token.keys_unavailable',
    message: `the keys can not be had: ${cause}`,
  })
}
