# The tiny kernel: what a boot loader takes for Linux, and which only tells what it was given.
#
# It has the header of Linux's boot protocol for x86 and, behind it, code for real mode.  QEMU's -kernel starts it with
# the BIOS still there, and so does any boot loader of that time.  To the first serial port it writes
#     kilonova-kernel: told COMMAND LINE
#     kilonova-kernel: ramdisk says FIRST LINE OF THE RAMDISK       (if there is one)
# and then starts the boot sector of the first disk, such as the tiny guest's.
#
# After a change: python -m kilonova.images.guests.tiny_kernel --rebuild   (needs binutils)

        .code16
        .set    UART, 0x3f8             # first serial port
        .set    UART_STATUS, 0x3fd
        .set    SECTOR, 0x7c00          # where a BIOS puts a boot sector
        .set    MOST, 64                # bytes of the ramdisk that are told

        .globl  start
start:
        .org    start + 0x1f1
        .byte   2                       # sectors of the setup code behind this one
        .org    start + 0x1f4
        .long   0x20                    # the rest, in units of 16 bytes
        .org    start + 0x1fe
        .word   0xaa55

        .org    start + 0x200           # entered here, with CS 0x20 above the first byte
        jmp     begin
        .ascii  "HdrS"
        .word   0x0202                  # version of the protocol
        .org    start + 0x211
        .byte   1                       # the rest is loaded at 1 MiB
        .org    start + 0x214
        .long   0x100000
ramdisk:
        .long   0
ramdisk_size:
        .long   0
        .org    start + 0x228
command_line:
        .long   0
        .org    start + 0x268           # what loaders write into is behind us
begin:
        cld
        movw    %cs, %ax
        subw    $0x20, %ax
        movw    %ax, %ds                # DS:0 is the first byte from here on
        sti

        movw    $UART + 3, %dx          # open the divisor latch
        movb    $0x80, %al
        outb    %al, %dx
        movb    $1, %al                 # 115200 baud
        movw    $UART, %dx
        outb    %al, %dx
        incw    %dx
        xorb    %al, %al
        outb    %al, %dx
        movb    $3, %al                 # 8N1, latch closed
        movb    $(UART + 3) & 0xff, %dl
        outb    %al, %dx

        movw    $told, %si
        call    say
        movl    command_line, %eax
        movl    %eax, %ebx
        shrl    $4, %eax
        andw    $15, %bx
        movw    %bx, %si
        pushw   %ds
        movw    %ax, %ds
        call    say
        popw    %ds
        movw    $newline, %si
        call    say

        movl    ramdisk_size, %eax
        testl   %eax, %eax
        jz      chain
        movl    ramdisk, %eax           # it is above 1 MiB: let the BIOS fetch its first bytes
        movw    %ax, from + 2
        shrl    $16, %eax
        movb    %al, from + 4
        movb    %ah, from + 7
        xorl    %eax, %eax
        movw    %ds, %ax
        shll    $4, %eax
        addl    $text, %eax
        movw    %ax, to + 2
        shrl    $16, %eax
        movb    %al, to + 4
        movw    %ds, %ax
        movw    %ax, %es
        movw    $places, %si
        movw    $MOST / 2, %cx
        movb    $0x87, %ah
        int     $0x15
        movw    $says, %si
        call    say
        movw    $text, %si
        call    say
        movw    $newline, %si
        call    say

chain:
        movw    $packet, %si
        movw    $0x4280, %ax            # read from the first disk
        movb    %al, %dl
        int     $0x13
        jc      nothing
        movb    $0x80, %dl
        ljmp    $0, $SECTOR
nothing:
        movw    $no_disk, %si
        call    say
stop:
        hlt
        jmp     stop

# Text at SI, ended by a zero or by the end of a line.
say:
        lodsb
        cmpb    $0, %al
        je      done
        movb    %al, %ah
        movw    $UART_STATUS, %dx
full:
        inb     %dx, %al
        testb   $0x20, %al
        jz      full
        movb    %ah, %al
        movb    $UART & 0xff, %dl
        outb    %al, %dx
        cmpb    $'\n', %al
        jne     say
done:
        ret

packet:                                 # disk address packet: one sector, block 0
        .byte   16, 0
        .word   1
        .word   SECTOR, 0
        .quad   0
places:                                 # descriptors for the BIOS: its own, from, to, its own
        .quad   0, 0
from:   .byte   0xff, 0xff, 0, 0, 0, 0x93, 0, 0
to:     .byte   0xff, 0xff, 0, 0, 0, 0x93, 0, 0
        .quad   0, 0
told:   .asciz  "kilonova-kernel: told "
says:   .asciz  "kilonova-kernel: ramdisk says "
no_disk:
        .asciz  "kilonova-kernel: no disk to go on with\r\n"
newline:
        .asciz  "\r\n"
text:   .skip   MOST
        .byte   0
        .org    start + 0x600
