import type { Command } from 'commander'
import { readTextFile } from '#admin/policy-folder.ts'
import { type CliContext, optionalTenant, tenantColumn, tenantPages } from './context.ts'
import { fromAdmin } from './failure.ts'

/** `warder issuer add|list|remove`. */
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
      })
    })
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
