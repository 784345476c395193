/**
 * A process that uses the embedded database: `node embedded-client.ts DIR WRITER`. It says `open PID-OF-POSTGRES`, then
 * appends rows one by one and says `row N` after each is acknowledged, until its input ends or says `close`.
 */
import { readFileSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { openDatabase } from '#store/database.ts'
import { serverFolders } from '#store/postgres-folders.ts'
import { appendRowsTo } from './append-rows.ts'
import { logRow } from './store-samples.ts'

const [dataDir = '', writer = ''] = process.argv.slice(2)
const say = (text: string) => process.stdout.write(`${text}\n`)

const db = await openDatabase({ url: undefined, dataDir, applicationName: writer })
const append = appendRowsTo(db, { deadlineMilliseconds: 20_000 })
const stop = new AbortController()
const input = createInterface({ input: process.stdin })
input.on('line', () => stop.abort())
input.on('close', () => stop.abort())
say(`open ${readFileSync(`${serverFolders(dataDir).data}/postmaster.pid`, 'utf8').split('\n')[0]}`)

for (let sequence = 1; !stop.signal.aborted; sequence++) {
  await append([logRow('t', writer, sequence)])
  say(`row ${sequence}`)
  await new Promise((resolve) => setTimeout(resolve, 2))
}
await db.close()
say('closed')
input.close()
