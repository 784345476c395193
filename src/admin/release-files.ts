import { stat } from 'node:fs/promises'
import { failed, type Result, success } from '#lib/result.ts'
import type { ReleaseId, TenantId } from '#model/ids.ts'
import type { SourceFile } from '#model/release.ts'
import { type AdminFailure, refused } from './failure.ts'
import type { AdminStore } from './ports.ts'
import { findReleaseId } from './push-release.ts'

const RELEASE = /^(?:sha256:[0-9a-f]{8,64}|[0-9a-f]{8,64})$/

/** A release with the tenant's own files, without the shipped ones. */
export interface ReleaseFiles {
  readonly release: ReleaseId
  readonly files: readonly SourceFile[]
}

/** Whether `name` means a release and not a folder: `active`, or digits of an id that no folder is called. */
export async function isReleaseName(name: string): Promise<boolean> {
  if (name === 'active') return true
  if (!RELEASE.test(name)) return false
  return await stat(name).then(
    () => false,
    () => true,
  )
}

/** The files of a release of `tenant`: `active`, its id, or the first eight or more digits of it. */
export async function readReleaseFiles(
  store: AdminStore,
  tenant: TenantId,
  name: string,
): Promise<Result<ReleaseFiles, AdminFailure>> {
  const id = name === 'active' ? success('active' as const) : await findReleaseId(store, tenant, name)
  if (!id.ok) return id
  const found = await store.findRelease(tenant, id.value)
  if (found !== undefined) return success({ release: found.header.id, files: found.sources })
  const what = name === 'active' ? 'active release' : `release \`${name}\``
  const help = `list them with \`warder policy list --tenant ${tenant}\``
  return failed(refused('release.unknown', `the tenant \`${tenant}\` has no ${what}`, help))
}
