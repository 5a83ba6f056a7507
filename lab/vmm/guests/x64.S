# A guest in 64-bit mode that runs a program: a list of { handler, count, argument }.
#
# The binary begins with a table of { name, offset }, by which the VMM finds the handlers; the
# VMM puts absolute addresses into the program. Code must fit into the one page it is loaded to.
# Only the accesses that a unit stands for touch memory outside of code and parameter block.
#
# Set by the VMM, besides %rsp and %cs..%ss:
#   %r14 parameter block: 0 first page to store to, 8 first page to call, 16 device, 24 program
#   %r10 %r11 what %cr0 and %cr4 hold
# Kept while running: %r15 program, %r8 count, %r9 argument, %rbp %r12 %r13 the three addresses.

.set PAGE, 4096
.set EXEC_STRIDE, 8 * PAGE              # layout.EXEC_STRIDE
.set BELL_PORT, 0xf4                    # x64.BELL_PORT; a ring is four bytes wide
.set RING_IRQ, 4                        # guest.Ring
.set RING_WINDOW, 5
.set CR0_AM, 1 << 18
.set CR4_MCE, 1 << 6
.set X2APIC_EOI, 0x80b
.set X2APIC_TMICT, 0x838

.macro handler name
  .text 0
.Lname_\name:
  .ascii "\name"
  .space 12 - (. - .Lname_\name)
  .long \name - table
  .text 1
\name:
.endm

.macro again
  dec %r8
  jnz 1b
  jmp next
.endm

.code64
.text 0
table:

handler start
  mov 0(%r14), %rbp
  mov 8(%r14), %r12
  mov 16(%r14), %r13
  lea 24(%r14), %r15
next:
  mov 0(%r15), %rax
  mov 8(%r15), %r8
  mov 16(%r15), %r9
  add $24, %r15
  jmp *%rax

handler bell
  mov %r9d, %eax
  out %eax, $BELL_PORT
  jmp next

handler cpuid
1:mov %r9d, %eax
  xor %ecx, %ecx
  cpuid
  again

handler io
  mov %r9d, %edx
1:out %al, %dx
  again

handler in
  mov %r9d, %edx
1:in %dx, %al
  again

handler rdmsr
1:mov %r9d, %ecx
  rdmsr
  again

handler wrmsr
1:mov %r9d, %ecx
  xor %eax, %eax
  xor %edx, %edx
  wrmsr
  again

handler vmcall
1:mov $1, %eax                          # KVM_HC_VAPIC_POLL_IRQ: returns 0, does nothing
  vmcall
  again

handler vmmcall
1:mov $1, %eax
  vmmcall
  again

handler callvmcall
1:mov %r9d, %eax
  vmcall
  again

handler callvmmcall
1:mov %r9d, %eax
  vmmcall
  again

handler page
1:mov %eax, (%rbp)
  add $PAGE, %rbp
  again

handler exec
1:call *%r12
  add $EXEC_STRIDE, %r12
  again

handler mmio
1:mov %eax, (%r13,%r9)
  again

handler hlt
1:hlt
  again

handler sleep                           # the argument is in microseconds, the timer in ns
  imul $1000, %r9d, %r9d
1:mov $X2APIC_TMICT, %ecx
  mov %r9d, %eax
  xor %edx, %edx
  wrmsr
  sti                                   # takes effect after the next instruction
sleep_hlt:
  hlt
  cli
  again

handler cr0
1:xor $CR0_AM, %r10d
  mov %r10, %cr0
  again

handler cr4
1:xor $CR4_MCE, %r11d
  mov %r11, %cr4
  again

handler rdcr4
1:mov %cr4, %rax
  again

handler cr8
  mov $2, %eax                          # always the same: lowering it would go to userspace
1:mov %rax, %cr8
  again

handler xsetbv
1:mov $1, %eax                          # x87 state alone, as after reset
  xor %ecx, %ecx
  xor %edx, %edx
  xsetbv
  again

handler wbinvd
1:wbinvd
  again

handler invd
1:invd
  again

handler monitor
1:mov %r14, %rax
  xor %ecx, %ecx
  xor %edx, %edx
  monitor
  again

handler mwait
1:xor %eax, %eax
  xor %ecx, %ecx
  mwait
  again

handler ud
1:ud2
  again

handler irq                             # arrives right after the OUT
  sti
1:mov $RING_IRQ, %eax
  out %eax, $BELL_PORT
  nop
  dec %r8
  jnz 1b
  cli
  jmp next

handler irqwin                          # asked for while shut out, arrives after STI
1:mov $RING_WINDOW, %eax
  out %eax, $BELL_PORT
  sti
  nop
  nop
  cli
  again

handler pause
1:pause
  again

handler spin
1:mov $1000, %eax
2:dec %eax
  jnz 2b
  again

handler isr_ud                          # step over the UD2
  addq $2, (%rsp)
  iretq

handler isr_irq
  iretq

handler isr_timer
  mov $X2APIC_EOI, %ecx
  xor %eax, %eax
  xor %edx, %edx
  wrmsr
  # TCG forgets the effect of STI if it leaves the guest before HLT: start the timer again, or
  # nothing would end the HLT.
  lea sleep_hlt(%rip), %rax
  cmp %rax, (%rsp)
  jne 1f
  mov $X2APIC_TMICT, %ecx
  mov %r9d, %eax
  wrmsr
1:iretq

.text 0
.quad 0, 0                              # end of the table
