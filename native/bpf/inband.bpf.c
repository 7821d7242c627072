// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
#include <linux/bpf.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>
#include "estimator.h"
#include "flow.h"
#include "maps.h"
#include "packet.h"
#include "sample.h"
#include "vip.h"

/*
 * The load balancer's datapath: a packet of a known flow goes to the flow's backend, a new flow to the one in its slot,
 * by layer-2 direct server return; and every packet of a known flow is a measurement. The same as `Engine` of
 * src/datapath/engine.ts with the estimators `handshake` and `ensemble`, which the tests hold it to.
 */

#define NO_BACKEND (-1)

static __always_inline int is_syn(const struct packet *packet)
{
	return (packet->tcp_flags & (TCP_SYN | TCP_ACK)) == TCP_SYN;
}

/* The state of a flow that begins with this packet. */
static __always_inline __u8 first_state(const struct packet *packet)
{
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

/* Routes the first packet of a flow, whose former line is `line` or NULL. */
static __always_inline int route_first(const struct route *route, const struct packet *packet, struct inband_flow *line)
{
	__u32 backend = backend_of_slot(route->vip, packet->client_addr, packet->client_port);
	int is_usable = !!usable_backend(backend);

	/* A reset ends what we do not know: there is nothing to remember. */
	if (!is_usable || packet->tcp_flags & TCP_RST) {
		if (line)
			end_flow(line, route->key);
	} else {
		struct opening opening = {
			.key = route->key,
			.now_ns = route->now_ns,
			.hash = route->hash,
			.isn = is_syn(packet) ? packet->seq : 0,
			.cpu = route->cpu,
			.backend = backend,
			.state = first_state(packet),
			.is_again = !!line,
		};

		open_flow(&opening);
	}
	return is_usable ? (int)backend : NO_BACKEND;
}

static __always_inline void emit(const struct route *route, const struct packet *packet, __u32 backend, __u8 kind,
				 __u64 latency_ns)
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
		state &= STATE_MASK;
	}
	if (state == INBAND_STATE_NEW && !is_syn(packet))
		state = INBAND_STATE_ESTABLISHED;
	if (packet->tcp_flags & TCP_FIN)
		state = INBAND_STATE_CLOSING;
	line->state = state;
}

/* Routes a later packet of a flow by its line, and measures. */
static __always_inline int route_known(const struct route *route, const struct packet *packet, struct inband_flow *line)
{
	int backend = backend_of(line, route->key);
	struct inband_traffic *counts;
	__u64 latency_ns = 0;
	__s64 gap_ns;

	/* Another CPU took the line a moment ago: as if it had done so before we looked. */
	if (backend < 0)
		return route_first(route, packet, NULL);
	if (is_past(line, route->now_ns)) {
		route->counted->idle++;
		return route_first(route, packet, line);
	}
	if (is_syn(packet) && line->isn != packet->seq) {
		route->counted->reopened++;
		return route_first(route, packet, line);
	}
	counts = traffic_of(route->cpu, backend);
	if (!counts)
		return NO_BACKEND;
	gap_ns = route->now_ns - line->last_ns;
	line->last_ns = route->now_ns;
	if (line->state != INBAND_STATE_ESTABLISHED || packet->tcp_flags & TCP_FIN)
		update_state(route, packet, line, backend);
	if (observe_gap(line, counts, route->now_ns, gap_ns, &latency_ns))
		emit(route, packet, backend, INBAND_KIND_ENSEMBLE, latency_ns);
	if (packet->tcp_flags & TCP_RST && end_flow(line, route->key))
		route->counted->closed++;
	return backend;
}

/* Sends a packet to its backend. */
static __always_inline int forward(struct xdp_md *context, const struct route *route, const struct packet *packet,
				   int number)
{
	struct ethernet *ethernet = (void *)(long)context->data;
	struct inband_backend *backend;
	struct inband_traffic *counts;

	if (number < 0 || (void *)ethernet + ETH_HLEN > (void *)(long)context->data_end)
		goto unusable;
	backend = usable_backend(number);
	counts = traffic_of(route->cpu, number);
	if (!backend || !counts)
		goto unusable;
	counts->packets++;
	counts->bytes += packet->ip_bytes;
	ethernet->mac_addresses[0] = backend->mac_addresses[0];
	ethernet->mac_addresses[1] = backend->mac_addresses[1];
	ethernet->mac_addresses[2] = backend->mac_addresses[2];
	if (backend->ifindex == context->ingress_ifindex) {
		route->counted->packets[INBAND_REASON_TX]++;
		return XDP_TX;
	}
	route->counted->packets[INBAND_REASON_REDIRECT]++;
	return bpf_redirect(backend->ifindex, 0);
unusable:
	route->counted->packets[INBAND_REASON_NO_BACKEND]++;
	return XDP_DROP;
}

static __always_inline int pass(struct inband_counters *counted, enum inband_reason reason)
{
	if (reason < INBAND_REASON_COUNT)
		counted->packets[reason]++;
	return XDP_PASS;
}

SEC("xdp.frags")
int inband(struct xdp_md *context)
{
	__u32 cpu = this_cpu();
	struct inband_counters *counted = entry(&counters, cpu);
	struct packet packet = {};
	struct route route = {};
	enum inband_reason reason;
	struct inband_flow *line;

	if (!counted)
		return XDP_ABORTED;
	reason = parse(context, &packet);
	if (reason)
		return pass(counted, reason);
	route.vip = find_vip(&packet);
	if (!route.vip)
		return pass(counted, INBAND_REASON_NOT_VIP);
	route.now_ns = clock_ns();
	route.cpu = cpu;
	route.counted = counted;
	route.key = packet.client_addr | (__u64)packet.client_port << 32 | (__u64)(route.vip->index + 1) << 48;
	route.hash = hash_of(route.key, 0);
	line = find_flow(route.key, route.hash);
	return forward(context, &route, &packet,
		       line ? route_known(&route, &packet, line) : route_first(&route, &packet, NULL));
}

char _license[] SEC("license") = "Dual MIT/GPL";
