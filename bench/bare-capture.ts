import { capConstructor } from '../src/datapath/capture/packages.ts';

/** The least that captures frames and sends them on: the package's event, two MAC addresses, the package's `send`. */
const [device = '', filter = '', macs = '', ringBytes = ''] = process.argv.slice(2);
const Cap = capConstructor() as unknown as new () => {
  on(event: 'packet', listener: (length: number) => void): void;
  open(device: string, filter: string, ringBytes: number, buffer: Buffer): string;
  send(frame: Buffer, length: number): void;
};
const cap = new Cap();
const frame = Buffer.alloc(65_535);
const addresses = Buffer.from(macs, 'hex');
cap.on('packet', (length) => {
  frame.set(addresses);
  cap.send(frame, length);
});
cap.open(device, filter, Number(ringBytes), frame);
