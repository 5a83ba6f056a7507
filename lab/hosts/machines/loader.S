/* Option ROM that starts a Linux kernel through its PVH entry.

   A BIOS calls it in real mode when the hardware is set up. It reads LOAD_SECTORS sectors from the
   start of the disk that is master of the second ATA channel to LOAD_ADDRESS, and enters the kernel
   as PVH wants it: 32-bit protected mode, flat segments, no paging, the start info's address in EBX.

   Symbols to define: ROM_ADDRESS LOAD_ADDRESS LOAD_SECTORS (a multiple of 256) ENTRY START_INFO
   Sources: ATA/ATAPI-6 (READ SECTORS, 28-bit addresses), PC BIOS Boot Specification (option ROMs). */

        .set    CODE, descriptor_code - descriptors
        .set    DATA, descriptor_data - descriptors
        .set    ATA, 0x170              /* second channel; the registers follow each other */
        .set    READ_SECTORS, 0x20
        .set    BUSY, 0x80
        .set    HAS_DATA, 0x08

        .globl  _start
_start:
        .byte   0x55, 0xaa, 4           /* signature; size in units of 512 bytes */

        .code16
        cli
        lgdtl   %cs:table - _start
        movl    %cr0, %eax
        orb     $1, %al
        movl    %eax, %cr0
        ljmpl   $CODE, $protected

        .code32
protected:
        movw    $DATA, %ax
        movw    %ax, %ds
        movw    %ax, %es
        movw    %ax, %ss
        cld
        movl    $LOAD_ADDRESS, %edi
        xorl    %ebx, %ebx              /* number of the next sector */

command:
        movw    $ATA + 6, %dx
        movl    %ebx, %eax
        shrl    $24, %eax
        orb     $0xe0, %al              /* master, linear addresses */
        outb    %al, %dx
        movw    $ATA + 2, %dx
        xorl    %eax, %eax              /* none means 256 sectors */
        outb    %al, %dx
        incl    %edx
        movb    %bl, %al
        outb    %al, %dx
        incl    %edx
        movb    %bh, %al
        outb    %al, %dx
        incl    %edx
        movl    %ebx, %eax
        shrl    $16, %eax
        outb    %al, %dx
        movw    $ATA + 7, %dx
        movb    $READ_SECTORS, %al
        outb    %al, %dx
        movl    $256, %esi
sector:
        movw    $ATA + 7, %dx
wait:
        inb     %dx, %al
        testb   $BUSY, %al
        jnz     wait
        testb   $HAS_DATA, %al
        jz      wait
        movw    $ATA, %dx
        movl    $128, %ecx
        rep insl
        decl    %esi
        jnz     sector
        addl    $256, %ebx
        cmpl    $LOAD_SECTORS, %ebx
        jb      command

        movl    $START_INFO, %ebx
        movl    $ENTRY, %eax
        jmp     *%eax

        .balign 8
descriptors:
        .quad   0
descriptor_code:
        .quad   0x00cf9a000000ffff
descriptor_data:
        .quad   0x00cf92000000ffff
table:
        .word   table - descriptors - 1
        .long   descriptors
