import { Command } from 'commander';
import { schemaText } from '../config/reference.ts';

export function configSchemaCommand(): Command {
  return new Command('config-schema')
    .description('Print the JSON Schema of the configuration file, for editors')
    .action(() => {
      process.stdout.write(schemaText());
    });
}
