# A guest in VS-mode, MMU off, at address 0. It makes the exits that vmm.py lists, rings, and is
# not run again. It has no stack and no data; the counts are the assembler's (--defsym).

.set DEVICE, 0x30000000                 # no memory there
.set HEAP, 0x100000
.set PAGE, 4096
.set SBI_BASE, 0x10
.set SBI_TIME, 0x54494d45
.set STIE, 1 << 5
.set TICKS, 200000                      # 20 ms of QEMU's clock

.macro sbi extension
  li a7, \extension
  li a6, 0
  ecall
.endm

.globl _start
_start:
  li s0, ECALLS
1:sbi SBI_BASE                          # the version of the SBI: answered by KVM
  addi s0, s0, -1
  bnez s0, 1b

  li s1, DEVICE
  li s0, LOADS
2:lw t0, 0(s1)
  addi s0, s0, -1
  bnez s0, 2b

  li s0, STORES
3:sw s0, 0(s1)
  addi s0, s0, -1
  bnez s0, 3b

  li s2, HEAP
  li t0, PAGE
  li s0, PAGES
4:sw s0, 0(s2)
  add s2, s2, t0
  addi s0, s0, -1
  bnez s0, 4b

  li t0, STIE
  csrw sie, t0                          # wakes WFI; sstatus.SIE stays off: never taken
  li s0, WFIS
5:rdtime a0
  li t0, TICKS
  add a0, a0, t0
  sbi SBI_TIME
  wfi
  li a0, -1
  sbi SBI_TIME
  addi s0, s0, -1
  bnez s0, 5b

  sw zero, 8(s1)                        # the bell
6:j 6b
