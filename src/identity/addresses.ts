import { BlockList, isIP } from 'node:net'

/** Networks that are not the public internet (IANA special-purpose registries, RFC 6890 and updates). */
const SPECIAL: readonly (readonly [network: string, prefix: number])[] = [
  ['0.0.0.0', 8],
  ['10.0.0.0', 8],
  ['100.64.0.0', 10],
  ['127.0.0.0', 8],
  ['172.16.0.0', 12],
  ['192.0.0.0', 24],
  ['192.0.2.0', 24],
  ['192.88.99.0', 24],
  ['192.168.0.0', 16],
  ['198.18.0.0', 15],
  ['198.51.100.0', 24],
  ['203.0.113.0', 24],
  ['::', 96],
  ['64:ff9b::', 96],
  ['64:ff9b:1::', 48],
  ['100::', 64],
  ['2001::', 23],
  ['2001:db8::', 32],
  ['2002::', 16],
  ['3fff::', 20],
  ['5f00::', 16],
  ['fc00::', 7],
]

/** Never a peer of ours: link-local (where clouds serve credentials of the machine), multicast and reserved. */
const FORBIDDEN: readonly (readonly [network: string, prefix: number])[] = [
  ['169.254.0.0', 16],
  ['224.0.0.0', 4],
  ['240.0.0.0', 4],
  ['fe80::', 10],
  ['fec0::', 10],
  ['ff00::', 8],
  ['fd00:ec2::254', 128],
]

const special = blockList(SPECIAL)
const forbidden = blockList(FORBIDDEN)

/**
 * Whether we may connect to `address`, a resolved IPv4 or IPv6 address.
 *
 * @param privateNetwork whether private networks and this machine are meant. Link-local and multicast never are.
 */
export function mayReach(address: string, privateNetwork: boolean): boolean {
  const version = isIP(address)
  if (version === 0) return false
  const family = version === 4 ? 'ipv4' : 'ipv6'
  // INVARIANT: `check` judges an IPv4 address in IPv6 clothes (`::ffff:...`) by the rules for IPv4 as well.
  return !forbidden.check(address, family) && (privateNetwork || !special.check(address, family))
}

function blockList(networks: readonly (readonly [string, number])[]): BlockList {
  const list = new BlockList()
  for (const [network, prefix] of networks)
    list.addSubnet(network, prefix, network.includes(':') ? 'ipv6' : 'ipv4')
  return list
}
