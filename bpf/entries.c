/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* Entries by physical CPU. An entry also ends what other measurements time. */

int on_entry(void *ctx)
{
	if (KSTATS_LATENCY)
		end_latency(bpf_get_current_pid_tgid());
	if (KSTATS_VCPU_TIME)
		enter_guest(bpf_get_current_pid_tgid());
	count_entry();
	return SEEN;
}
