import type { Clause, Expr, PolicyJson } from '@cedar-policy/cedar-wasm/nodejs'
import type { ReadNode, Reads } from '#model/release.ts'
import { type EntityUid, type UidKey, uidKey } from '#model/value.ts'

/** A `ReadNode` while it is being worked out. */
interface Draft {
  whole: boolean
  ancestors: boolean
  tags: boolean
  readonly attrs: Map<string, Draft>
}

/**
 * What an expression may denote: places that can be followed, or a value that cannot. A value that was computed
 * (record literal, tag, function result) is `opaque`: following it further gives up on bounding the reads.
 */
type Denoted = { readonly kind: 'places'; readonly places: readonly Draft[] } | { readonly kind: 'opaque' }

const OPAQUE: Denoted = { kind: 'opaque' }

/**
 * Everything that the conditions of a policy can read, and whether they read `context.autonomous`. The ancestors that its
 * scope asks for are not part of it: a read plan takes exactly those from the scope.
 */
export function readsOf(policy: PolicyJson): { readonly reads: Reads; readonly testsAutonomous: boolean } {
  const walk = new Walk()
  for (const clause of policy.conditions) walk.condition(clause)
  return { reads: walk.reads(), testsAutonomous: walk.testsAutonomous }
}

/**
 * Abstract interpretation of one policy over access paths.
 * INVARIANT: whatever evaluation reads of an entity or of the context is covered by a node, or `all` is set.
 */
class Walk {
  #all = false
  #testsAutonomous = false
  readonly #roots = new Map<string, Draft>()
  readonly #entities = new Map<UidKey, { readonly uid: EntityUid; readonly node: Draft }>()

  get testsAutonomous(): boolean {
    return this.#testsAutonomous
  }

  root(name: 'principal' | 'action' | 'resource' | 'context'): Draft {
    return obtain(this.#roots, name)
  }

  condition(clause: Clause): void {
    this.#use(clause.body)
  }

  reads(): Reads {
    const node = (name: string) => freeze(this.#roots.get(name))
    return {
      all: this.#all,
      principal: node('principal'),
      resource: node('resource'),
      action: node('action'),
      context: node('context'),
      entities: [...this.#entities]
        .toSorted(([a], [b]) => (a < b ? -1 : 1))
        .map(([, entity]) => ({ uid: entity.uid, node: frozen(entity.node) })),
    }
  }

  /** The value itself is needed. */
  #use(expression: Expr): void {
    const denoted = this.#denote(expression)
    if (denoted.kind === 'places') for (const place of denoted.places) place.whole = true
  }

  /** The places that `expression` may denote, for an operation that looks behind the value. */
  #follow(expression: Expr): readonly Draft[] {
    const denoted = this.#denote(expression)
    if (denoted.kind === 'places') return denoted.places
    this.#all = true
    return []
  }

  #denote(expression: Expr): Denoted {
    const [operator, operand] = only(expression)
    switch (operator) {
      case 'Value':
        return this.#literal(operand)
      case 'Var':
        return this.#variable(operand)
      case '.':
        return this.#attribute(operand as Binary & { readonly attr: string })
      case 'has':
        return this.#has(operand as Binary & { readonly attr: string | readonly string[] })
      case 'in':
        return this.#in((operand as Binary).left, (operand as Binary).right)
      case 'is':
        return this.#is(operand as Binary & { readonly in?: Expr })
      case 'getTag':
      case 'hasTag':
        return this.#tag(operand as Binary)
      case 'if-then-else':
        return this.#conditional(operand as Conditional)
      case '==':
      case '!=':
      case '<':
      case '<=':
      case '>':
      case '>=':
      case '&&':
      case '||':
      case '+':
      case '-':
      case '*':
      case 'contains':
      case 'containsAll':
      case 'containsAny':
        return this.#computed([(operand as Binary).left, (operand as Binary).right])
      case '!':
      case 'neg':
      case 'isEmpty':
        return this.#computed([(operand as { readonly arg: Expr }).arg])
      case 'like':
        return this.#computed([(operand as Binary).left])
      case 'Set':
        return this.#computed(operand as readonly Expr[])
      case 'Record':
        return this.#computed(Object.values(operand as Readonly<Record<string, Expr>>))
      default:
        return this.#call(operand)
    }
  }

  #computed(operands: readonly Expr[]): Denoted {
    for (const operand of operands) this.#use(operand)
    return OPAQUE
  }

  /** A function or method of an extension type. Anything that is not one is unknown to us and bounds nothing. */
  #call(operand: unknown): Denoted {
    if (Array.isArray(operand)) return this.#computed(operand as readonly Expr[])
    this.#all = true
    return OPAQUE
  }

  #literal(value: unknown): Denoted {
    if (typeof value !== 'object') return OPAQUE
    const uid = entityOf(value)
    if (uid !== undefined) return { kind: 'places', places: [this.#entity(uid)] }
    // Sets and records arrive as `Set` and `Record`; a literal of another form is not known to us.
    this.#all = true
    return OPAQUE
  }

  #entity(uid: EntityUid): Draft {
    const known = this.#entities.get(uidKey(uid))
    if (known !== undefined) return known.node
    const node = draft()
    this.#entities.set(uidKey(uid), { uid, node })
    return node
  }

  #variable(name: unknown): Denoted {
    if (name === 'principal' || name === 'action' || name === 'resource' || name === 'context')
      return { kind: 'places', places: [this.root(name)] }
    this.#all = true
    return OPAQUE
  }

  #attribute(access: Binary & { readonly attr: string }): Denoted {
    const places = this.#follow(access.left)
    if (places.length === 0) return OPAQUE
    // Only the value counts: `context has autonomous` is true for every call.
    const context = this.#roots.get('context')
    if (access.attr === 'autonomous' && context !== undefined && places.includes(context))
      this.#testsAutonomous = true
    return { kind: 'places', places: places.map((place) => obtain(place.attrs, access.attr)) }
  }

  #has(test: Binary & { readonly attr: string | readonly string[] }): Denoted {
    let places = this.#follow(test.left)
    for (const attr of typeof test.attr === 'string' ? [test.attr] : test.attr)
      places = places.map((place) => obtain(place.attrs, attr))
    // Presence can only be seen where the value is sent.
    for (const place of places) place.whole = true
    return OPAQUE
  }

  #in(left: Expr, right: Expr): Denoted {
    for (const place of this.#follow(left)) {
      place.whole = true
      place.ancestors = true
    }
    this.#use(right)
    return OPAQUE
  }

  #is(test: Binary & { readonly in?: Expr }): Denoted {
    if (test.in !== undefined) return this.#in(test.left, test.in)
    this.#use(test.left)
    return OPAQUE
  }

  #tag(access: Binary): Denoted {
    for (const place of this.#follow(access.left)) place.tags = true
    this.#use(access.right)
    return OPAQUE
  }

  #conditional(choice: Conditional): Denoted {
    this.#use(choice.if)
    const branches = [this.#denote(choice.then), this.#denote(choice.else)]
    const places = branches.flatMap((branch) => (branch.kind === 'places' ? branch.places : []))
    if (branches.every((branch) => branch.kind === 'places')) return { kind: 'places', places }
    // One branch cannot be followed: the other one is used, and following the whole gives up.
    for (const place of places) place.whole = true
    return OPAQUE
  }
}

interface Binary {
  readonly left: Expr
  readonly right: Expr
}

interface Conditional {
  readonly if: Expr
  readonly then: Expr
  readonly else: Expr
}

function only(expression: Expr): readonly [string, unknown] {
  const [entry, ...more] = Object.entries(expression)
  return entry === undefined || more.length > 0 ? ['', undefined] : entry
}

function entityOf(value: unknown): EntityUid | undefined {
  if (typeof value !== 'object' || value === null || !('__entity' in value)) return undefined
  const uid = value.__entity as Partial<EntityUid>
  return typeof uid.type === 'string' && typeof uid.id === 'string'
    ? { type: uid.type, id: uid.id }
    : undefined
}

function draft(): Draft {
  return { whole: false, ancestors: false, tags: false, attrs: new Map() }
}

function obtain(nodes: Map<string, Draft>, name: string): Draft {
  const known = nodes.get(name)
  if (known !== undefined) return known
  const node = draft()
  nodes.set(name, node)
  return node
}

function freeze(node: Draft | undefined): ReadNode | undefined {
  return node === undefined ? undefined : frozen(node)
}

function frozen(node: Draft): ReadNode {
  const attrs = [...node.attrs].map(([name, child]) => [name, frozen(child)] as const)
  return { whole: node.whole, ancestors: node.ancestors, tags: node.tags, attrs: Object.fromEntries(attrs) }
}
