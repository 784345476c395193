import { Argument } from 'commander'

/** The argument that names a policy folder. */
export function folderArgument(): Argument {
  return new Argument('<dir>', 'folder with *.cedar, *.cedarschema and tests/*.json; not recursive')
}
