import { Int32Histogram } from 'hdr-histogram-js';

const view = new DataView(new ArrayBuffer(8));

/**
 * hdr-histogram-js with three significant digits from 1 ns on, which grows as values come. Its bins are 1,024 to an
 * octave: the exponent and the upper ten bits of a double's mantissa, read from its bits. The library finds the same bin
 * with one logarithm and two powers, which takes longer than all else that is done for a packet.
 */
export class LatencyHistogram extends Int32Histogram {
  constructor() {
    super(1, 2, 3);
    this.autoResize = true;
  }

  /** Index of the bin of `value`, at least 0, as `JsHistogram` computes it. */
  override countsArrayIndex(value: number): number {
    if (value < 1024) return Math.floor(value);
    view.setFloat64(0, value);
    // Ten bits of mantissa left below the biased exponent; the octave from 1024 is the first to have all its bins.
    return (view.getUint32(0) >>> 10) - ((1023 + 9) << 10);
  }
}
