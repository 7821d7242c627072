import type uPlot from 'uplot';
import type { About, Frame, Recorded, ShownDecision, VipFrame } from './frame.ts';

/**
 * The page's code in the browser. A page gets the text of these functions, so they refer to one another, to their
 * arguments and to what every browser has, and to nothing else of this project. Names go into the page as text only.
 */

/** The parts of a browser used here. The compiler's DOM library would put its globals into every file. */
interface Element {
  textContent: string | null;
  className: string;
  value: string;
  hidden: boolean;
  clientWidth: number;
  style: { background: string };
  append(...parts: (Element | string)[]): void;
  replaceChildren(...parts: (Element | string)[]): void;
  setAttribute(name: string, value: string): void;
  addEventListener(type: 'change', listener: () => void): void;
}

interface Browser {
  document: {
    documentElement: object;
    getElementById(id: string): Element | null;
    createElement(tag: string): Element;
  };
  location: { reload(): void };
  getComputedStyle(element: object): { getPropertyValue(name: string): string };
  matchMedia(query: string): { addEventListener(type: 'change', listener: () => void): void };
  ResizeObserver: new (listener: () => void) => { observe(element: Element): void };
  EventSource: new (
    path: string,
  ) => { addEventListener(type: string, listener: (event: { data: string }) => void): void };
  fetch(path: string): Promise<{ text(): Promise<string> }>;
}

/** A line chart: how it looks, and its values from the frames. */
interface Chart {
  id: string;
  unit: 'percent' | 'latency' | 'rate';
  /** One line per backend, or per other name. */
  isPerBackend: boolean;
  plot?: uPlot;
}

interface State {
  browser: Browser;
  about: About;
  frames: Frame[];
  decisions: ShownDecision[];
  /** Index of the vip that is shown, and the time that is shown in s. */
  vip: number;
  spanS: number;
  /** Backends that have a line, in the order of the lines, and colors of some of them. */
  drawn: number[];
  colors: Map<number, string>;
  charts: Chart[];
  color: (name: string) => string;
}

/** Starts the page: draws what was recorded, then follows. */
function startDashboard(UPlot: typeof uPlot, browser: Browser, about: About): void {
  const styles = () => browser.getComputedStyle(browser.document.documentElement);
  const state: State = {
    browser,
    about,
    frames: [],
    decisions: [],
    vip: 0,
    spanS: 600,
    drawn: [],
    colors: new Map(),
    charts: [
      { id: 'share', unit: 'percent', isPerBackend: true },
      { id: 'p50', unit: 'latency', isPerBackend: true },
      { id: 'p99', unit: 'latency', isPerBackend: true },
      { id: 'drops', unit: 'rate', isPerBackend: false },
      { id: 'table', unit: 'percent', isPerBackend: false },
    ],
    color: (name) => styles().getPropertyValue(`--${name}`),
  };
  chooseVips(UPlot, state);
  choose(state, 'span', () => showAll(UPlot, state));
  browser.matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => {
    for (const { plot } of state.charts) plot?.redraw(false, false);
  });
  follow(UPlot, state);
}

/** Takes in frames as they come; those from before the page was opened are asked for once. */
function follow(UPlot: typeof uPlot, state: State): void {
  const events = new state.browser.EventSource('events');
  const live = state.browser.document.getElementById('live')!;
  events.addEventListener('open', () => {
    live.textContent = 'live';
    live.className = 'is-live';
    state.browser
      .fetch('recent')
      .then((response) => response.text())
      .then((text) => takeRecent(UPlot, state, text))
      .catch(() => {});
  });
  events.addEventListener('error', () => {
    live.textContent = 'no answer from the daemon; what is shown is old';
    live.className = 'is-lost';
  });
  events.addEventListener('frame', ({ data }) => {
    const frame: Frame = JSON.parse(data);
    const last = state.frames.at(-1);
    if (last && frame.n <= last.n) return;
    state.frames.push(frame);
    while (state.frames.length > 600) state.frames.shift();
    showAll(UPlot, state);
  });
  // Other vips or backends: another page, with what was recorded of those that stay.
  events.addEventListener('about', () => state.browser.location.reload());
  events.addEventListener('decisions', ({ data }) => {
    state.decisions = JSON.parse(data);
    showDecisions(state);
  });
}

/** Another daemon than the one that the page came from has a page of its own. */
function takeRecent(UPlot: typeof uPlot, state: State, text: string): void {
  const known: Frame[] = [];
  let about = state.about;
  for (const line of text.trimEnd().split('\n')) {
    const recorded: Recorded = JSON.parse(line);
    if ('about' in recorded) about = recorded.about;
    else if ('frame' in recorded) known.push(alignFrame(recorded.frame, about, state.about));
    else state.decisions = [...recorded.decisions];
  }
  if (about.started !== state.about.started) {
    state.browser.location.reload();
    return;
  }
  const later = state.frames.filter(({ n }) => n > (known.at(-1)?.n ?? 0));
  state.frames = [...known, ...later];
  showDecisions(state);
  showAll(UPlot, state);
}

/** A frame about some vips and backends as one about others: what was not there then holds nothing, and no share. */
export function alignFrame(frame: Frame, from: About, to: About): Frame {
  if (from === to) return frame;
  const vips = to.vips.map(({ vip, backends }): VipFrame => {
    const v = from.vips.findIndex((one) => one.vip === vip);
    const places = new Map((from.vips[v]?.backends ?? []).map(({ name }, b) => [name, b]));
    const old = backends.map(({ name }) => places.get(name));
    const was = frame.vips[v];
    const pick = <T>(values: readonly T[] | undefined, none: T): T[] =>
      old.map((b) => (b === undefined || values === undefined ? none : (values[b] ?? none)));
    const pickSome = <T>(values: Readonly<Record<number, T>> | undefined): Record<number, T> =>
      Object.fromEntries(
        old.flatMap((b, at) => (b === undefined || values?.[b] === undefined ? [] : [[at, values[b]]])),
      );
    const isCounted = was !== undefined && was.inFlight.length > 0;
    return {
      kind: was?.kind ?? '',
      generation: was?.generation ?? 0,
      slotsMoved: was?.slotsMoved ?? 0,
      share: pick(was?.share, 0),
      p50: pick(was?.p50, null),
      p99: pick(was?.p99, null),
      samples: pick(was?.samples, 0),
      flows: pick(was?.flows, 0),
      held: pick(was?.held, 0),
      packets: pick(was?.packets, 0),
      inFlight: isCounted ? pick(was.inFlight, 0) : [],
      oldestMs: isCounted ? pick(was.oldestMs, 0) : [],
      retransmits: isCounted ? pick(was.retransmits, 0) : [],
      obstacles: pickSome(was?.obstacles),
      states: pickSome(was?.states),
      health: pickSome(was?.health),
    };
  });
  return { ...frame, vips };
}

/** The choice of a vip, where there are several. */
function chooseVips(UPlot: typeof uPlot, state: State): void {
  const holder = state.browser.document.getElementById('vip')!;
  state.about.vips.forEach(({ vip }, index) => {
    const option = element(state, 'option', vip);
    option.value = String(index);
    holder.append(option);
  });
  choose(state, 'vip', () => {
    state.colors.clear();
    showDecisions(state);
    showAll(UPlot, state);
  });
}

function choose(state: State, id: string, then: () => void): void {
  const holder = state.browser.document.getElementById(id)!;
  holder.addEventListener('change', () => {
    if (id === 'vip') state.vip = Number(holder.value);
    else state.spanS = Number(holder.value);
    then();
  });
}

function showAll(UPlot: typeof uPlot, state: State): void {
  const last = state.frames.at(-1);
  const vip = last?.vips[state.vip];
  if (!last || !vip) return;
  const frames = state.frames.filter(({ t }) => t >= last.t - state.spanS);
  const before = state.frames.length > 1 ? state.frames.at(-2)! : last;
  pickColors(state, vip);
  for (const chart of state.charts) drawChart(UPlot, state, chart, frames);
  showFacts(state, last, before);
  showSummaries(state, vip, last);
  showBackends(state, vip, before.vips[state.vip]!, last.t - before.t);
  showCounters(state, 'packets', last.packets, before.packets, last.t - before.t);
  showCounters(state, 'flows', last.flows, before.flows, last.t - before.t);
}

/**
 * Which backends have lines, and which of these a color: all of a few; of many, those whose shares are furthest from
 * their weights. A color stays with its backend for as long as that is among them.
 */
function pickColors(state: State, { share }: VipFrame): void {
  const names = ['series-1', 'series-2', 'series-3', 'series-4', 'series-5', 'series-6', 'series-7'];
  const { backends } = state.about.vips[state.vip]!;
  const distance = (b: number) => Math.abs(share[b]! - backends[b]!.weight) / backends[b]!.weight;
  const all = backends.map((_, b) => b);
  const byDistance = all.length > names.length ? all.toSorted((a, b) => distance(b) - distance(a)) : all;
  const chosen = byDistance.slice(0, names.length);
  for (const b of state.colors.keys()) if (!chosen.includes(b)) state.colors.delete(b);
  const free = names.filter((name) => ![...state.colors.values()].includes(name));
  for (const b of chosen) if (!state.colors.has(b)) state.colors.set(b, free.shift()!);
  // Lines that have a color come last, over the others.
  const others = byDistance.slice(names.length, 64).sort((a, b) => a - b);
  state.drawn = [...others, ...all.filter((b) => state.colors.has(b))];
}

function drawChart(UPlot: typeof uPlot, state: State, chart: Chart, frames: readonly Frame[]): void {
  const lines = linesOf(state, chart, frames);
  const data = [frames.map(({ t }) => t), ...lines.map(({ values }) => values)] as uPlot.AlignedData;
  if (chart.plot && chart.plot.series.length !== data.length) {
    chart.plot.destroy();
    delete chart.plot;
  }
  if (chart.plot) chart.plot.setData(data);
  else chart.plot = makePlot(UPlot, state, chart, data);
}

/** A name, a color and values for each line of a chart. */
function linesOf(
  state: State,
  { id }: Chart,
  frames: readonly Frame[],
): { name: string; color: string; values: (number | null)[] }[] {
  const names = ['series-1', 'series-2', 'series-3', 'series-4', 'series-5', 'series-6', 'series-7'];
  if (id === 'table') {
    const values = frames.map(({ flows }) => (100 * flows.active!) / state.about.flowsCapacity);
    return [{ name: 'flows in the table', color: 'series-1', values }];
  }
  if (id === 'drops') {
    const reasons = notForwarded(frames.at(-1)!).filter((reason) => frames.at(-1)!.packets[reason]! > 0);
    return reasons.map((reason, i) => ({
      name: reason,
      color: names[i] ?? 'other',
      values: frames.map(({ t, packets }, at) => {
        const from = frames[at - 1];
        return from ? Math.max(0, packets[reason]! - from.packets[reason]!) / (t - from.t) : null;
      }),
    }));
  }
  const key = id as 'share' | 'p50' | 'p99';
  const { backends } = state.about.vips[state.vip]!;
  return state.drawn.map((b) => ({
    name: backends[b]!.name,
    color: state.colors.get(b) ?? 'truth',
    values: frames.map(({ vips }) => {
      const value = vips[state.vip]![key][b];
      return value == null ? null : key === 'share' ? 100 * value : value;
    }),
  }));
}

/** Reasons under which packets left that went to no backend. */
function notForwarded({ packets }: Frame): string[] {
  const fine = ['tx', 'redirect', 'ipip', 'arp_answered', 'probe'];
  return Object.keys(packets).filter((reason) => !fine.includes(reason));
}

function makePlot(UPlot: typeof uPlot, state: State, chart: Chart, data: uPlot.AlignedData): uPlot {
  const holder = state.browser.document.getElementById(chart.id)!;
  const { color } = state;
  const now = () => linesOf(state, chart, state.frames.slice(-1));
  const grid = { stroke: () => color('grid'), width: 1 };
  const axis = { stroke: () => color('muted'), grid, ticks: { ...grid, size: 4 } };
  const text = (value: number) => figureText(chart.unit, value);
  const isLog = chart.unit === 'latency';
  const options: uPlot.Options = {
    width: holder.clientWidth,
    height: 240,
    series: [
      {},
      ...data.slice(1).map((_, i) => ({
        stroke: () => color(now()[i]?.color ?? 'other'),
        width: 2,
        points: { show: false },
      })),
    ],
    scales: {
      x: { time: true },
      y: isLog
        ? { distr: 3, range: latencyRange }
        : {
            range: (_plot, _min, max) => [
              0,
              chart.unit === 'percent' ? Math.min(100, roomAbove(max)) : roomAbove(max),
            ],
          },
    },
    axes: [
      { ...axis, size: 30, space: 80, values: (_plot, ticks) => ticks.map(timeText) },
      {
        ...axis,
        size: 56,
        values: (_plot, ticks) => ticks.map((tick) => (tick === null ? '' : text(tick))),
        ...(isLog && { splits: logTicks, filter: (_plot: uPlot, ticks: number[]) => ticks }),
      },
    ],
    padding: [10, 8, 0, 0],
    legend: { show: false },
    cursor: { drag: { x: false, y: false }, sync: { key: 'time' }, points: { show: false } },
    hooks: { setCursor: [(plot: uPlot) => showReadout(state, chart, plot)] },
  };
  const plot = new UPlot(options, data, holder as never);
  new state.browser.ResizeObserver(() => plot.setSize({ width: holder.clientWidth, height: 240 })).observe(
    holder,
  );
  return plot;
}

/** The values under the cursor, below the chart. */
function showReadout(state: State, chart: Chart, plot: uPlot): void {
  const holder = state.browser.document.getElementById(`${chart.id}-at`)!;
  const index = plot.cursor.idx;
  const time = index == null ? undefined : plot.data[0][index];
  if (index == null || time === undefined) {
    holder.textContent = '';
    return;
  }
  const lines = linesOf(state, chart, state.frames.slice(-1));
  const parts = lines.flatMap(({ name, color }, i) => {
    const value = plot.data[i + 1]?.[index];
    return color === 'truth' || value == null ? [] : [`${name} ${figureText(chart.unit, value)}`];
  });
  holder.textContent = `${timeText(time)}: ${parts.join(', ') || 'nothing'}`;
}

/** The top of an axis from 0: a round number above the largest value. */
function roomAbove(max: number): number {
  if (!(max > 0)) return 1;
  const least = max * 1.05;
  const power = 10 ** Math.floor(Math.log10(least));
  return power * [1, 1.5, 2, 3, 4, 5, 6, 8, 10].find((factor) => power * factor >= least)!;
}

/** Ends of a logarithmic axis of latencies in us: 1, 2 or 5 times a power of ten around all values. */
function latencyRange(_plot: uPlot, min: number | null, max: number | null): [number, number] {
  if (min === null || max === null || !(min > 0)) return [10, 1000];
  const round = (value: number, up: boolean) => {
    const power = 10 ** Math.floor(Math.log10(value));
    const factors = up ? [1, 2, 5, 10] : [10, 5, 2, 1];
    return power * factors.find((factor) => (up ? power * factor >= value : power * factor <= value))!;
  };
  return [round(min * 0.9, false), round(max * 1.1, true)];
}

function logTicks(_plot: uPlot, _axis: number, min: number, max: number): number[] {
  const factors = max / min > 200 ? [1] : [1, 2, 5];
  const ticks = [];
  for (let power = Math.floor(Math.log10(min)); power <= Math.log10(max); power++) {
    for (const factor of factors) ticks.push(Number((factor * 10 ** power).toPrecision(1)));
  }
  return ticks.filter((tick) => tick >= min * 0.999 && tick <= max * 1.001);
}

function showFacts(state: State, last: Frame, before: Frame): void {
  const sum = (packets: Frame['packets'], names: string[]) =>
    names.reduce((total, name) => total + packets[name]!, 0);
  const names = Object.keys(last.packets);
  const seconds = Math.max(0.001, last.t - before.t);
  const rate = (of: string[]) => Math.max(0, sum(last.packets, of) - sum(before.packets, of)) / seconds;
  // The others are not for a vip, or not understood: not the load balancer's to forward.
  const lost = names.filter((name) =>
    ['no_backend', 'too_big', 'send_failed', 'shed', 'ring_full'].includes(name),
  );
  const set = (id: string, text: string) => {
    state.browser.document.getElementById(id)!.textContent = text;
  };
  set('tile-packets', countText(rate(names)));
  set('tile-lost', countText(rate(lost)));
  set('tile-flows', countText(last.flows.active!));
  set(
    'tile-pressure',
    `${figureText('percent', (100 * last.flows.active!) / state.about.flowsCapacity)} of ${countText(state.about.flowsCapacity)}`,
  );
  set('tile-ticks', countText(Math.max(0, last.ticksLate - before.ticksLate)));
  set('tile-turns', `of ${countText(Math.max(0, last.ticks - before.ticks))}`);
  set('uptime', spanText(last.uptimeS));
}

/** Each chart's latest values in words. */
function showSummaries(state: State, vip: VipFrame, last: Frame): void {
  const { backends } = state.about.vips[state.vip]!;
  const set = (id: string, text: string) => {
    const said = state.browser.document.getElementById(`${id}-said`)!;
    if (said.textContent !== text) said.textContent = text;
    state.browser.document.getElementById(id)!.setAttribute('aria-label', `Chart. Now: ${text}`);
  };
  const percent = (value: number) => figureText('percent', 100 * value);
  const order = vip.share.map((_, b) => b).sort((a, b) => vip.share[a]! - vip.share[b]!);
  const one = (b: number) =>
    `${backends[b]!.name} ${percent(vip.share[b]!)} (${percent(backends[b]!.weight)} configured)`;
  const few = order.length <= 4 ? order.toSorted((a, b) => a - b) : [...order.slice(0, 2), order.at(-1)!];
  set(
    'share',
    `${few.map(one).join(', ')}${order.length > 4 ? `; the other ${order.length - 3} between these` : ''}.`,
  );
  for (const key of ['p50', 'p99'] as const) {
    const measured = order.filter((b) => vip[key][b] !== null).sort((a, b) => vip[key][a]! - vip[key][b]!);
    const value = (b: number) => `${backends[b]!.name} ${figureText('latency', vip[key][b]!)}`;
    const said =
      measured.length === 0
        ? 'no sample in the last second'
        : measured.length <= 4
          ? measured.map(value).join(', ')
          : `${value(measured[0]!)} to ${value(measured.at(-1)!)}`;
    set(key, `${said} (${vip.kind}).`);
  }
  const lost = notForwarded(last).filter((name) => last.packets[name]! > 0);
  set(
    'drops',
    lost.length === 0
      ? 'none since the start.'
      : `since the start: ${lost.map((name) => `${name} ${countText(last.packets[name]!)}`).join(', ')}.`,
  );
  const { refused = 0, evicted_unestablished: fresh = 0, evicted_idle: idle = 0 } = last.flows;
  set(
    'table',
    `${countText(last.flows.active!)} of ${countText(state.about.flowsCapacity)} flows; refused ${countText(refused)}, made room for others ${countText(fresh + idle)} since the start.`,
  );
}

function showBackends(state: State, vip: VipFrame, before: VipFrame, seconds: number): void {
  const { backends } = state.about.vips[state.vip]!;
  const rate = (now: readonly number[], then: readonly number[], b: number) =>
    seconds > 0 ? countText(Math.max(0, now[b]! - then[b]!) / seconds) : '-';
  const latency = (value: number | null | undefined) => (value == null ? '-' : figureText('latency', value));
  const rows = backends.map(({ name, weight }, b) => {
    const mark = element(state, 'span', '');
    mark.className = 'mark';
    mark.style.background = `var(--${state.colors.get(b) ?? 'truth'})`;
    const head = element(state, 'th', '');
    head.setAttribute('scope', 'row');
    head.append(mark, name);
    const cells = [
      stateText(vip, b),
      figureText('percent', 100 * vip.share[b]!),
      figureText('percent', 100 * weight),
      latency(vip.p50[b]),
      latency(vip.p99[b]),
      countText(vip.samples[b]!),
      rate(vip.packets, before.packets, b),
      rate(vip.flows, before.flows, b),
      countText(vip.held[b]!),
      ...(vip.inFlight.length === 0
        ? ['-', '-', '-']
        : [
            countText(vip.inFlight[b]!),
            figureText('latency', vip.oldestMs[b]! * 1e3),
            countText(vip.retransmits[b]!),
          ]),
    ].map((text) => element(state, 'td', text));
    if (isBad(vip, b)) cells[0]!.className = 'bad';
    const row = element(state, 'tr', '');
    row.append(head, ...cells);
    return row;
  });
  state.browser.document.getElementById('backends')!.replaceChildren(...rows);
}

/** What an operator wants of a backend, and what is known of it: `ready, up`, `drain, down: connection refused`. */
function stateText({ obstacles, states, health }: VipFrame, b: number): string {
  const known = health[b];
  const word = known ? `${known.state}${known.reason === '' ? '' : `: ${known.reason}`}` : 'up';
  const obstacle = obstacles[b];
  return `${states[b] ?? 'ready'}, ${obstacle === undefined ? word : `unusable: ${obstacle}`}`;
}

function isBad({ obstacles, health }: VipFrame, b: number): boolean {
  const state = health[b]?.state;
  return obstacles[b] !== undefined || state === 'down' || state === 'ejected';
}

/** A table of counters: all since the start, and per second. */
function showCounters(
  state: State,
  id: 'packets' | 'flows',
  now: Frame['packets'],
  before: Frame['packets'],
  seconds: number,
): void {
  const rows = Object.keys(now).map((name) => {
    const row = element(state, 'tr', '');
    const head = element(state, 'th', name);
    head.setAttribute('scope', 'row');
    const perSecond = seconds > 0 ? Math.max(0, now[name]! - before[name]!) / seconds : 0;
    const rate = name === 'active' ? '' : countText(perSecond);
    row.append(head, element(state, 'td', countText(now[name]!)), element(state, 'td', rate));
    return row;
  });
  state.browser.document.getElementById(`${id}-rows`)!.replaceChildren(...rows);
}

/** Decisions about the vip, the last first. */
function showDecisions(state: State): void {
  const { backends } = state.about.vips[state.vip]!;
  const own = state.decisions.filter(({ vip }) => vip === state.vip).slice(0, 30);
  const items = own.map(({ backend, from, until, steps, text }) => {
    const item = element(state, 'li', '');
    const time = element(state, 'time', timeText(until));
    const name = element(state, 'b', backends[backend]!.name);
    const lasting = steps > 1 ? ` (${steps} steps in ${(until - from).toFixed(1)} s)` : '';
    item.append(time, ' ', name, ` ${text}${lasting}`);
    return item;
  });
  const none = element(state, 'li', 'None yet: shares are as configured.');
  state.browser.document.getElementById('decisions')!.replaceChildren(...(items.length > 0 ? items : [none]));
}

function element(state: State, tag: string, text: string): Element {
  const made = state.browser.document.createElement(tag);
  if (text !== '') made.textContent = text;
  return made;
}

function figureText(unit: Chart['unit'], value: number): string {
  if (unit === 'percent') return `${Number(value.toFixed(value < 1 ? 2 : 1))}%`;
  if (unit === 'rate') return `${countText(value)}/s`;
  if (value === 0) return '0';
  const [number, suffix] =
    value >= 1e6
      ? [value / 1e6, 's']
      : value >= 1e3
        ? [value / 1e3, 'ms']
        : value >= 1
          ? [value, 'us']
          : [value * 1e3, 'ns'];
  return `${Number(number.toPrecision(3))}${suffix}`;
}

/** `12`, `1.5k`, `12.3M`. */
function countText(value: number): string {
  const [number, suffix] =
    value >= 1e9
      ? [value / 1e9, 'G']
      : value >= 1e6
        ? [value / 1e6, 'M']
        : value >= 1e4
          ? [value / 1e3, 'k']
          : [value, ''];
  return `${suffix === '' ? Number(number.toFixed(number < 10 ? 1 : 0)) : Number(number.toPrecision(3))}${suffix}`;
}

/** `3d 4h`, `4h 5m`, `5m 6s`, `6s`. */
export function spanText(seconds: number): string {
  const parts = [
    [Math.floor(seconds / 86_400), 'd'],
    [Math.floor(seconds / 3_600) % 24, 'h'],
    [Math.floor(seconds / 60) % 60, 'm'],
    [seconds % 60, 's'],
  ] as const;
  const first = parts.findIndex(([count]) => count > 0);
  const shown = first < 0 ? parts.slice(3) : parts.slice(first, first + 2);
  return shown.map(([count, unit]) => `${count}${unit}`).join(' ');
}

/** The time of day of a Unix time, where the browser is. */
function timeText(seconds: number): string {
  return new Date(seconds * 1e3).toTimeString().slice(0, 8);
}

/** The functions as the text of a script that defines `startDashboard(uPlot, window, about)`. */
export const dashboardScript = [
  startDashboard,
  follow,
  takeRecent,
  alignFrame,
  chooseVips,
  choose,
  showAll,
  pickColors,
  drawChart,
  linesOf,
  notForwarded,
  makePlot,
  showReadout,
  roomAbove,
  latencyRange,
  logTicks,
  showFacts,
  showSummaries,
  showBackends,
  stateText,
  isBad,
  showCounters,
  showDecisions,
  element,
  figureText,
  countText,
  spanText,
  timeText,
].join('\n');
