/** IANA protocol numbers. */
export const ipProtoTcp = 6;
export const ipProtoUdp = 17;

/** IEEE 802 EtherTypes. */
export const etherTypeIpv4 = 0x0800;
export const etherTypeIpv6 = 0x86dd;

/** VLAN tags followed per frame: QinQ needs two, some carriers stack three. More are `malformed`. */
export const vlanTagsMax = 4;

/** IPv6 extension headers followed per packet (RFC 8200 expects each at most once or twice). More are `malformed`. */
export const ipv6HeadersMax = 8;
