/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* bcc requires a version; no program of kstats depends on it. */
#define KERNEL_VERSION(a, b, c) (((a) << 16) + ((b) << 8) + ((c) > 255 ? 255 : (c)))
#define LINUX_VERSION_CODE KERNEL_VERSION(6, 1, 0)
