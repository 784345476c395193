/** What a token may do; each role may do what those before it may. */
export type AdminRole = 'viewer' | 'author' | 'approver' | 'operator' | 'admin'

/** Every role, the least first. */
export const ADMIN_ROLES: readonly AdminRole[] = ['viewer', 'author', 'approver', 'operator', 'admin']

/** Whether who has `role` may do what `needed` may. */
export function roleIncludes(role: AdminRole, needed: AdminRole): boolean {
  return ADMIN_ROLES.indexOf(role) >= ADMIN_ROLES.indexOf(needed)
}

/** The role that `text` names. */
export function parseAdminRole(text: string): AdminRole | undefined {
  return ADMIN_ROLES.find((role) => role === text)
}
