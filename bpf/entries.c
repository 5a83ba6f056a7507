/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* Entries by physical CPU. An entry also ends what other measurements time. */

PROGRAM(on_entry, void *ctx)
{
	if (KSTATS_LATENCY)
		end_latency(this_thread());
	if (KSTATS_VCPU_TIME)
		enter_guest(this_thread());
	count_entry();
	return SEEN;
}
