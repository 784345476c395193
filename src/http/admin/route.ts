import type { MiddlewareHandler } from 'hono'
import type { AdminStore } from '#admin/ports.ts'
import type { RouteKey } from './access.ts'
import { type AdminEnv, guard } from './call.ts'

/** The part of a route that its key says: method, path, and who may call it. */
export type At = <Key extends RouteKey>(key: Key) => RouteAt<Key>

interface RouteAt<Key extends string> {
  readonly method: MethodOf<Key>
  readonly path: PathOf<Key>
  readonly middleware: MiddlewareHandler<AdminEnv>[]
  readonly security: { adminToken: string[] }[]
}

type MethodOf<Key extends string> = Key extends `${infer Method} ${string}`
  ? Lowercase<Method> & ('get' | 'post' | 'put' | 'patch' | 'delete')
  : never
type PathOf<Key extends string> = Key extends `${string} ${infer Path}` ? Path : never

/** Routes whose calls are let in and recorded on `store`. */
export function createAt(store: AdminStore): At {
  return (key) => ({ ...parseKey(key), middleware: guard(key, store), security: [{ adminToken: [] }] })
}

function parseKey<Key extends RouteKey>(key: Key): { method: MethodOf<Key>; path: PathOf<Key> } {
  const [method = '', path = ''] = key.split(' ')
  return { method: method.toLowerCase() as MethodOf<Key>, path: path as PathOf<Key> }
}
