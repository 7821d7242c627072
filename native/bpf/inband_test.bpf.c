// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* The same program for tests, which decide what time it is and on which CPU it runs. */
#define INBAND_TEST_CLOCK
#include "inband.bpf.c"
