// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
#include <linux/bpf.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>
#include "auto.h"
#include "ensemble.h"
#include "flow.h"
#include "maps.h"
#include "packet.h"
#include "probe.h"
#include "reset.h"
#include "sample.h"
#include "sweep.h"
#include "vip.h"

/*
 * The load balancer's datapath: a packet of a known flow goes to the flow's backend, a new flow to the one in its slot,
 * by layer-2 direct server return; and every packet of a known flow is a measurement. The same as `Engine` of
 * src/datapath/engine.ts with the estimators `handshake` and `ensemble`, or with `auto`,
 * as each vip says; the tests hold it to that.
 */

#define NO_BACKEND (-1)
/* The vip of a packet that begins a flow takes none any more. */
#define NO_VIP (-2)
/* Instead of AGAIN_*: the flow does not begin anew, its packet is answered by a RST. */
#define NEVER_AGAIN 4

static __always_inline int is_syn(const struct packet *packet)
{
	return (packet->tcp_flags & (TCP_SYN | TCP_ACK)) == TCP_SYN;
}

/* The state of a flow that begins with this packet. */
static __always_inline __u8 first_state(const struct inband_vip *vip, const struct packet *packet)
{
	if (vip->estimator == INBAND_ESTIMATOR_AUTO)
		return INBAND_STATE_NEW | INBAND_STATE_AUTO;
	if ((packet->tcp_flags & (TCP_SYN | TCP_ACK | TCP_RST)) == TCP_SYN)
		return INBAND_STATE_NEW | INBAND_STATE_HANDSHAKE;
	return INBAND_STATE_NEW;
}

/* The way that a packet goes. */
struct route {
	struct inband_counters *counted;
	struct inband_vip *vip;
	__u64 key;
	__u64 now_ns;
	__u32 hash;
	__u32 cpu;
};

/* Routes the first packet of a flow. One that begins anew, as `again` says, has a line of its former self. */
static __always_inline int route_first(struct xdp_md *context, const struct route *route, const struct packet *packet,
				       struct inband_flow *line, __u8 again)
{
	__u32 backend = backend_of_slot(route->vip, packet->client_addr, packet->client_port);
	int is_gone = route->vip->flags & INBAND_VIP_FLAG_GONE;
	int is_usable = !is_gone && interface_of(backend_at(backend));

	/* A reset ends what we do not know: there is nothing to remember. */
	if (!is_usable || packet->tcp_flags & TCP_RST) {
		if (line && again && end_flow(line, route->key, route->cpu))
			count_ended(route->counted, again);
	} else {
		struct opening opening = {
			.key = route->key,
			.now_ns = route->now_ns,
			.hash = route->hash,
			.isn = is_syn(packet) ? packet->seq : 0,
			.cpu = route->cpu,
			.backend = backend,
			.state = first_state(route->vip, packet),
			.again = again,
		};

		open_flow(context, &opening, packet);
	}
	if (is_gone)
		return NO_VIP;
	return is_usable ? (int)backend : NO_BACKEND;
}

static __always_inline void emit(const struct route *route, const struct packet *packet, __u32 backend, __u8 kind,
				 __s64 latency_ns)
{
	struct inband_sample sample = {
		.time_ns = route->now_ns,
		.latency_ns = latency_ns,
		.client_addr_be = packet->client_addr,
		.client_port_be = packet->client_port,
		.vip = route->vip->index,
		.backend = backend,
		.kind = kind,
	};

	record_sample(&sample, route->cpu);
}

/* What a packet beyond data says: flags, and whether it ends the handshake. */
static __always_inline void update_state(const struct route *route, const struct packet *packet,
					 struct inband_flow *line, __u32 backend)
{
	__u8 state = line->state;

	if (state & INBAND_STATE_HANDSHAKE) {
		/* The SYN was the flow's first packet, when the batches of all timeouts began; the last timeout's lasts. */
		if ((packet->tcp_flags & (TCP_SYN | TCP_ACK | TCP_RST)) == TCP_ACK)
			emit(route, packet, backend, INBAND_KIND_HANDSHAKE,
			     since_batch_ns(line, INBAND_TIMEOUTS_MAX - 1, route->now_ns));
		state &= ~INBAND_STATE_HANDSHAKE;
	}
	if ((state & STATE_MASK) == INBAND_STATE_NEW && !is_syn(packet))
		state = INBAND_STATE_ESTABLISHED | (state & INBAND_STATE_AUTO);
	if (packet->tcp_flags & TCP_FIN)
		state = INBAND_STATE_CLOSING | (state & INBAND_STATE_AUTO);
	line->state = state;
}

/* What `auto` sees in a later packet, `pause_ns` after the one before. */
static __always_inline void measure_auto(struct xdp_md *context, const struct route *route, const struct packet *packet,
					 struct inband_flow *line, __u32 backend, __s64 pause_ns)
{
	struct seen seen = { .tick = tick_of(route->now_ns), .cell = cell_of(route->cpu, backend) };

	observe_auto(context, line, packet, &seen, pause_ns);
	for (int i = 0; i <= INBAND_KIND_QUIC && seen.kinds; i++) {
		/* Gaps come last. */
		int kind = i < INBAND_KIND_GAP ? i : INBAND_KIND_GAP + INBAND_KIND_QUIC - i;

		if (seen.kinds >> kind & 1)
			emit(route, packet, backend, kind, (__s64)seen.samples[kind] << INBAND_TICK_BITS);
	}
}

/* Whether, and why, a packet that found a line begins its flow anew. */
static __always_inline __u8 begins_anew(const struct route *route, const struct packet *packet,
					const struct inband_flow *line)
{
	if (is_past(line, route->now_ns))
		return AGAIN_AFTER_IDLE;
	return is_syn(packet) && line->isn != packet->seq ? AGAIN_BY_SYN : 0;
}

/*
 * Whether, and why, the flow of a packet begins anew as its backend is lost. It does not while the slot names that backend
 * all the same, as when there is no better one.
 */
static __always_inline __u8 fate_of(const struct route *route, const struct packet *packet, __u32 number,
				    const struct inband_backend *backend)
{
	if (packet->tcp_flags & TCP_RST)
		return 0;
	if (!(route->vip->flags & INBAND_VIP_FLAG_GONE) &&
	    backend_of_slot(route->vip, packet->client_addr, packet->client_port) == number)
		return 0;
	if (backend->hop >> INBAND_HOP_RESET_BIT & 1 && packet->proto == IPPROTO_TCP && !is_syn(packet))
		return NEVER_AGAIN;
	return AGAIN_ELSEWHERE;
}

/* Answers by a RST, and to all that follows: the line stays until nothing does. */
static __always_inline int reset(struct xdp_md *context, const struct route *route, const struct packet *packet,
				 struct inband_flow *line)
{
	line->last_ns = route->now_ns;
	line->state = INBAND_STATE_CLOSING | (line->state & INBAND_STATE_AUTO);
	if (answer_reset(context, packet)) {
		route->counted->packets[INBAND_REASON_NO_BACKEND]++;
		return XDP_DROP;
	}
	route->counted->packets[INBAND_REASON_RESET]++;
	return XDP_TX;
}

/* What a later packet of a flow tells. */
static __always_inline void measure(struct xdp_md *context, const struct route *route, const struct packet *packet,
				    struct inband_flow *line, struct inband_traffic *counts, __u32 backend)
{
	__s64 gap_ns = route->now_ns - line->last_ns;
	__u8 state = line->state;

	line->last_ns = route->now_ns;
	if ((state & ~INBAND_STATE_AUTO) != INBAND_STATE_ESTABLISHED || packet->tcp_flags & TCP_FIN)
		update_state(route, packet, line, backend);
	if (state & INBAND_STATE_AUTO) {
		measure_auto(context, route, packet, line, backend, gap_ns);
	} else {
		__u64 latency_ns = 0;

		if (observe_ensemble(line, counts, route->now_ns, gap_ns, &latency_ns))
			emit(route, packet, backend, INBAND_KIND_ENSEMBLE, latency_ns);
	}
	if (packet->tcp_flags & TCP_RST && end_flow(line, route->key, route->cpu))
		route->counted->closed++;
}

static __always_inline int pass(struct inband_counters *counted, enum inband_reason reason)
{
	if (reason < INBAND_REASON_COUNT)
		counted->packets[reason]++;
	return XDP_PASS;
}

/* Routes a packet whose flow has `line`, or none if that is NULL; measures, and sends it to its backend. */
static __always_inline int forward(struct xdp_md *context, const struct route *route, const struct packet *packet,
				   struct inband_flow *line)
{
	struct inband_backend *backend = NULL;
	struct inband_traffic *counts;
	struct ethernet *ethernet;
	int number = NO_BACKEND;
	__u32 interface;
	__u8 again = 0;

	if (line) {
		number = backend_of(line, route->key);
		if (number >= 0) {
			again = begins_anew(route, packet, line);
			backend = backend_at(number);
		}
	}
	if (again || !backend || backend->hop <= 0) {
		if (!again && is_lost(backend))
			again = fate_of(route, packet, number, backend);
		if (line && again == NEVER_AGAIN)
			return reset(context, route, packet, line);
		/* Without the line that it found, as another CPU took it a moment ago, a packet is as if it had come after that. */
		if (number < 0 || again) {
			number = route_first(context, route, packet, line, again);
			line = NULL;
		}
		if (number == NO_VIP)
			return pass(route->counted, INBAND_REASON_NOT_VIP);
		backend = backend_at(number);
	}
	ethernet = (void *)(long)context->data;
	interface = interface_of(backend);
	counts = traffic_of(route->cpu, number);
	if (number < 0 || !backend || !interface || !counts ||
	    (void *)ethernet + ETH_HLEN > (void *)(long)context->data_end) {
		route->counted->packets[INBAND_REASON_NO_BACKEND]++;
		return XDP_DROP;
	}
	counts->packets++;
	counts->bytes += packet->ip_bytes;
	if (line)
		measure(context, route, packet, line, counts, number);
	ethernet->mac_addresses[0] = backend->mac_addresses[0];
	ethernet->mac_addresses[1] = backend->mac_addresses[1];
	ethernet->mac_addresses[2] = backend->mac_addresses[2];
	if (interface == context->ingress_ifindex) {
		route->counted->packets[INBAND_REASON_TX]++;
		return XDP_TX;
	}
	route->counted->packets[INBAND_REASON_REDIRECT]++;
	return bpf_redirect(interface, 0);
}

SEC("xdp.frags")
int inband(struct xdp_md *context)
{
	__u32 cpu = this_cpu();
	struct inband_counters *counted = entry(&counters, cpu);
	struct packet packet = {};
	struct route route = {};
	enum inband_reason reason;
	struct inband_flow_set *set;
	__u32 vip_place;

	if (!counted)
		return XDP_ABORTED;
	reason = parse(context, &packet);
	if (reason)
		return pass(counted, reason);
	route.vip = find_vip(&packet, &vip_place);
	if (!route.vip) {
		if (is_probed(&packet) && take_probe(context, &packet, cpu)) {
			counted->packets[INBAND_REASON_PROBE]++;
			return XDP_DROP;
		}
		return pass(counted, INBAND_REASON_NOT_VIP);
	}
	route.cpu = cpu;
	route.counted = counted;
	route.key = packet.client_addr | (__u64)packet.client_port << 32 | (__u64)(vip_place + 1) << 48;
	route.hash = hash_of(route.key, 0);
	set = set_at(route.hash);
	if (!set)
		return XDP_ABORTED;
	/* Reading the clock waits for all that was read before: the line comes after it, so as to overlap with what follows. */
	route.now_ns = clock_ns();
	return forward(context, &route, &packet, find_flow(set, route.key, route.hash));
}

char _license[] SEC("license") = "Dual MIT/GPL";
