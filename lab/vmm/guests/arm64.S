// A guest at EL1, MMU off, that runs a program: a list of { handler, count, argument }.
//
// The binary begins with a table of { name, offset }, by which the VMM finds the handlers; the
// VMM puts absolute addresses into the program. Code must fit into the one page it is loaded to.
// Only the accesses that a unit stands for touch memory outside of code and parameter block;
// there is no stack.
//
// Set by the VMM: x20 parameter block: 0 first page to store to, 8 first page to call,
//   16 device, 24 program; x25 door bell
// Kept while running: x21 program, x8 count, x9 argument, x22 x23 x24 the three addresses.

.set PAGE, 4096
.set EXEC_STRIDE, 8 * PAGE              // layout.EXEC_STRIDE
.set RING_IRQ, 4                        // guest.Ring
.set PSCI_VERSION, 0x84000000
.set CTL_FIRED, 2                       // CNTV_CTL_EL0.ISTATUS

.macro handler name
  .text 0
.Lname_\name:
  .ascii "\name"
  .space 12 - (. - .Lname_\name)
  .word \name - table
  .text 1
\name:
.endm

.macro again
  subs x8, x8, #1
  b.ne 1b
  b next
.endm

.text 0
table:

handler start
  adr x0, vectors
  msr vbar_el1, x0
  ldp x22, x23, [x20]
  ldr x24, [x20, #16]
  add x21, x20, #24
next:
  ldp x0, x8, [x21]
  ldr x9, [x21, #16]
  add x21, x21, #24
  br x0

handler bell
  str w9, [x25]
  b next

handler hvc
1:mov w0, #PSCI_VERSION                 // the answer comes in x0
  hvc #0
  again

handler callhvc
1:mov w0, w9
  hvc #0
  again

handler smc
1:mov w0, #PSCI_VERSION
  smc #0
  again

handler sys64                           // the argument is the number of a register below
  adr x1, id_registers
  add x1, x1, x9, lsl #3
1:blr x1
  again

id_registers:
  mrs x0, id_aa64pfr0_el1
  ret
  mrs x0, id_aa64isar0_el1
  ret
  mrs x0, id_aa64mmfr0_el1
  ret

handler wrsys64
1:msr oslar_el1, xzr
  again

handler page
1:str w0, [x22]
  add x22, x22, #PAGE
  again

handler exec
1:blr x23
  add x23, x23, #EXEC_STRIDE
  again

handler mmio
  add x0, x24, x9
1:str w0, [x0]
  again

// WFI does not trap when there is nothing to wait for: if the timer has fired already, the unit
// is tried again; if an interrupt of the host is pending, the WFI is.
handler wfi                             // the argument is in microseconds
  mrs x1, cntfrq_el0
  mul x1, x1, x9
  mov x0, #1000000 & 0xffff
  movk x0, #1000000 >> 16, lsl #16
  udiv x9, x1, x0
1:bl arm_timer
2:mrs x0, cntv_ctl_el0
  tbnz x0, #CTL_FIRED, 3f
  wfi
  mrs x0, cntv_ctl_el0
  tbz x0, #CTL_FIRED, 2b
  bl take_interrupt
  again
3:bl take_interrupt
  b 1b

arm_timer:
  mrs x0, cntvct_el0
  add x0, x0, x9
  msr cntv_cval_el0, x0
  mov x0, #1                            // enabled, not masked
  msr cntv_ctl_el0, x0
  isb
  ret

take_interrupt:
  msr daifclr, #2
  isb
  msr daifset, #2
  ret

handler wfe
1:wfe
  again

handler irq                             // raised and lowered by the VMM, never taken
1:mov w0, #RING_IRQ
  str w0, [x25]
  again

handler spin
1:mov w0, #1000
2:subs w0, w0, #1
  b.ne 2b
  again

.macro vector
  .balign 0x80
  mrs x0, esr_el1                       // a bug here: tell, and wait to be stopped
  str x0, [x25, #8]                     // arm64.FAULT
  b .
.endm

.balign 0x800
vectors:
.rept 5
  vector
.endr
.balign 0x80                            // IRQ at EL1: the timer
  mrs x0, icc_iar1_el1
  msr cntv_ctl_el0, xzr
  isb
  msr icc_eoir1_el1, x0
  eret
.rept 10
  vector
.endr

.text 0
.quad 0, 0                              // end of the table
