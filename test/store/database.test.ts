import { afterAll, beforeAll, expect, test } from 'vitest'
import { openDatabase, openTarget } from '#store/database.ts'
import { migrateDatabase } from '#store/migrations.ts'
import { openTestDatabase, type TestDatabase } from '../support/database.ts'

let db: TestDatabase
beforeAll(async () => {
  db = await openTestDatabase()
})
afterAll(() => db.close())

const again = async () => await openTarget(db.target, { applicationName: 'again' }, async () => undefined)

test('the server works as the least-privileged role, administration as the owner', async () => {
  const [runtime] = await db.sql`select current_user as name`
  const [owner] = await db.owner`select current_user as name`
  expect(runtime?.['name']).toBe('warder_runtime')
  expect(owner?.['name']).not.toBe('warder_runtime')
  expect(db.warnings).toEqual([])
})

test('connections say what they are for and have limits', async () => {
  const pool = db.pool({ purpose: 'trial', max: 1, statementTimeout: 50 })
  const [row] = await pool`select current_setting('application_name') as name`
  expect(row?.['name']).toBe('test: trial')
  await expect(pool`select pg_sleep(1)`).rejects.toMatchObject({ code: '57014' })
})

test('several processes that start at once migrate once', async () => {
  const name = `${db.target.database}_empty`
  await db.server`create database ${db.server(name)}`
  const target = { ...db.target, database: name }
  const progress: string[] = []
  await Promise.all([1, 2, 3].map(() => migrateDatabase(target, 'test', (text) => progress.push(text))))
  expect(progress).toEqual(['migrating the database'])
  const opened = await Promise.all(
    [1, 2].map(() => openTarget(target, { applicationName: 'test' }, async () => undefined)),
  )
  for (const each of opened) {
    expect(each.warnings).toEqual([])
    await each.close()
  }
  await db.server`drop database ${db.server(name)} with (force)`
})

test('a database that is newer than this installation is refused, with the way out', async () => {
  await db.owner`insert into migrations (hash, created_at) values ('from the future', 99999999999999)`
  await expect(again()).rejects.toThrow(
    /was migrated by a newer version of Warder; update this installation, or use the database that belongs to it/,
  )
  await db.owner`delete from migrations where hash = 'from the future'`
  await (await again()).close()
})

test.each(['nonsense', 'mysql://user:secret@host/db', 'postgres://user:secret@host:notaport/db'])(
  'a wrong URL is named without repeating it: %s',
  async (url) => {
    const opening = openDatabase({ url, dataDir: '/nonexistent', applicationName: 'test' })
    const error = await opening.catch((caught: unknown) => caught)
    expect(error).toMatchObject({
      message: 'the database URL is not of the form `postgres://user:password@host:port/database`',
    })
    expect(JSON.stringify(error, Object.getOwnPropertyNames(error))).not.toContain('secret')
  },
)

test('closing twice is closing once', async () => {
  const other = await again()
  await Promise.all([other.close(), other.close()])
})
