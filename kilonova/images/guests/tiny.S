# The tiny guest: a machine that fits in one boot sector.
#
# On every boot it adds one to a counter kept in the disk's second sector and writes
#     kilonova-tiny: READY boots=N
# and which keys it takes by serial to the first serial port and the screen.  Then it repeats what comes in by serial, and
#     power button (ACPI), Ctrl-D   says so and powers off
#     Ctrl-R                        says so and resets
# Of a card or disk that is to be taken out ("pc" only) it says so and lets go.
# It runs on QEMU's "pc" and "q35" machines.  From a CD nothing can be counted: boots=1 always.
#
# After a change: python -m kilonova.images.guests.tiny --rebuild   (needs binutils)

        .code16
        .set    UART, 0x3f8             # first serial port
        .set    UART_STATUS, 0x3fd
        .set    COUNTER, 0x7e00         # where the second sector is read to
        .set    PCI_ADDRESS, 0xcf8
        .set    KEYBOARD, 0x64
        .set    BUTTON, 0x100           # PWRBTN_STS and PWRBTN_EN
        .set    TO_GO, 0xae04           # slots whose devices are to go, a bit each; what is written to the
        .set    EJECT, 0xae08           # second is let go of, one at a time

        .globl  start
start:
        cli
        xorw    %ax, %ax
        movw    %ax, %ds
        movw    %ax, %es
        movw    %ax, %ss
        movw    $start, %sp
        sti
        cld
        movb    %dl, boot_drive

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

        movb    $0x42, %ah              # read, count, write back
        call    sector
        incl    COUNTER
        movw    $0x4300, %ax
        call    sector

        movw    $ready, %si
        call    say
        movl    COUNTER, %eax
        call    number
        movw    $newline, %si
        call    say

        movw    $power_places, %si      # which chip keeps the power button?
seek:
        lodsl
        movw    $PCI_ADDRESS, %dx
        outl    %eax, %dx
        movb    $0xfc, %dl
        inl     %dx, %eax
        cmpl    $-1, %eax               # nothing in that slot
        je      seek
        andw    $0xffc0, %ax
        movw    %ax, %bp                # BP = base of the ACPI registers, from here on
        leaw    2(%bp), %dx
        movw    $BUTTON, %ax            # without the enable bit QEMU drops the event
        outw    %ax, %dx

listen:
        hlt                             # the timer wakes us 18 times a second
        movw    %bp, %dx
        inw     %dx, %ax
        movw    $button, %si
        testw   $BUTTON, %ax
        jnz     power_off
        movw    $TO_GO, %dx
        inl     %dx, %eax
        incl    %eax                    # all ones: there is no such port here
        jz      drain
        decl    %eax
        jz      drain
        movb    $EJECT & 0xff, %dl
        outl    %eax, %dx
        movw    $gone, %si
        call    say
drain:
        movw    $UART_STATUS, %dx
        inb     %dx, %al
        testb   $1, %al
        jz      listen
        movb    $UART & 0xff, %dl
        inb     %dx, %al
        movw    $bye, %si
        cmpb    $4, %al                 # Ctrl-D
        je      power_off
        movw    $again, %si
        cmpb    $18, %al                # Ctrl-R
        je      reset
        call    put
        jmp     drain

power_off:
        call    say
        leaw    4(%bp), %dx
        movw    $0x2000, %ax            # SLP_EN, sleep type 0: soft off
        outw    %ax, %dx
        jmp     listen

reset:
        call    say
        movb    $0xfe, %al
        outb    %al, $KEYBOARD
        jmp     listen

# AH = 42h read, 43h write: the second sector of the drive that booted us.
sector:
        movw    $packet, %si
        movb    boot_drive, %dl
        int     $0x13
        ret

# Text at SI, ended by a zero.
say:
        lodsb
        testb   %al, %al
        jz      done
        call    put
        jmp     say

# EAX in decimal.
number:
        xorl    %edx, %edx
        movl    $10, %ecx
        divl    %ecx
        pushw   %dx
        testl   %eax, %eax
        jz      digit
        call    number
digit:
        popw    %ax
        addb    $'0', %al

# AL to the serial port and to the screen.
put:
        pushw   %ax
        movw    $UART_STATUS, %dx
full:
        inb     %dx, %al
        testb   $0x20, %al
        jz      full
        popw    %ax
        movb    $UART & 0xff, %dl
        outb    %al, %dx
        pushw   %bp                     # some BIOSes lose BP when the screen scrolls
        movb    $0x0e, %ah
        movw    $7, %bx
        int     $0x10
        popw    %bp
done:
        ret

packet:                                 # disk address packet: one sector, block 1
        .byte   16, 0
        .word   1
        .word   COUNTER, 0
        .quad   1
power_places:
        .long   0x80000b40              # 00:01.3, PIIX4 (machine pc)
        .long   0x8000f840              # 00:1f.0, ICH9 (machine q35)
ready:  .asciz  "kilonova-tiny: READY boots="
button: .asciz  "kilonova-tiny: power button, off\r\n"
bye:    .asciz  "kilonova-tiny: asked to go, off\r\n"
again:  .asciz  "kilonova-tiny: asked to reset\r\n"
gone:   .asciz  "kilonova-tiny: let a card go\r\n"
newline:
        .asciz  "\r\n  serial Ctrl-D: off\r\n  serial Ctrl-R: reset\r\n"
boot_drive:
        .byte   0

        .org    start + 510
        .word   0xaa55
