import { CaptureReader } from '../../src/pcap/reader.ts';
import { CaptureWriter } from '../../src/pcap/writer.ts';
import { frameOf, type Segment, temporaryDirectory } from '../datapath/replay/support.ts';

/** A capture of these packets with times in ns, as a file that is gone after the test. */
export function captureOf(packets: readonly (Segment & { at: number })[]): string {
  const path = `${temporaryDirectory()}/test.pcap`;
  const writer = CaptureWriter.toFile(path, { timeBaseS: 1_700_000_000 });
  for (const packet of packets) writer.write(frameOf(packet), packet.at);
  writer.close();
  return path;
}

/** A capture as two files, cut after `count` packets. */
export async function split(capture: string, count: number): Promise<string[]> {
  const directory = temporaryDirectory();
  const reader = await CaptureReader.open(capture);
  const parts = [`${directory}/1.pcap`, `${directory}/2.pcap`];
  let writers: CaptureWriter[] = [];
  let packets = 0;
  for await (const batch of reader.batches()) {
    if (writers.length === 0) {
      const timeBaseS = reader.timeBaseS!;
      writers = parts.map((path) => CaptureWriter.toFile(path, { linkType: batch.linkType[0]!, timeBaseS }));
    }
    for (let i = 0; i < batch.count; i++) {
      const at = batch.offset[i]!;
      const bytes = batch.data.subarray(at, at + batch.capturedLength[i]!);
      writers[packets++ < count ? 0 : 1]!.write(bytes, batch.timeNs[i]!, batch.wireLength[i]!);
    }
  }
  for (const writer of writers) writer.close();
  return parts;
}
