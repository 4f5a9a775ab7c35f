// SPDX-License-Identifier: Apache-2.0
//
// The guest of kvm_probe.cpp: what a kernel does while it boots, from real mode to a user's fault in
// ring 3 and the end of its system call. It is copied to ORIGIN and says on a port how far it got.
// The page tables are the host's: pages of 4 KiB for 2 MiB, the one at FAULT absent, and the APIC.

#define ORIGIN 0x1000
#define AT(label) ((label) - kvm_probe_guest + ORIGIN)
#define PAGE_TABLES 0x4000
#define LAST_TABLE 0x7000
#define STACK 0x10000
#define FAULT_STACK 0x12000
#define USER_STACK 0x14000
#define FAULT 0x1f000
#define COUNTER 0x18000             // not in a page of code, which a translator would translate anew
#define APIC 0xfee00000
#define TIMER_VECTOR 0x40
#define PORT 0x5a
#define STAGE(number) mov $(number), %al; out %al, $PORT

// The stages of kvm_probe.cpp.
#define REAL_MODE 1
#define PROTECTED_MODE 2
#define LONG_MODE 3
#define MSRS 4
#define TIMER 5
#define USER_MODE 6
#define SPEED 7
#define DONE 8
#define FAILED 0xee

#define CODE64 0x08
#define DATA 0x10
#define CODE32 0x18
#define TASK 0x30

// Three instructions each: a few ms on a processor, 16 s (measured) where every one of
// them is emulated.
#define LOOPS 5000000

    .section .rodata.kvm_probe_guest, "a"
    .globl kvm_probe_guest, kvm_probe_guest_end
    .hidden kvm_probe_guest, kvm_probe_guest_end
    .balign 16
kvm_probe_guest:
    .code16
    cli
    STAGE(REAL_MODE)
    lgdtl AT(gdt_pointer)
    mov %cr0, %eax
    or $1, %eax
    mov %eax, %cr0
    ljmpl $CODE32, $AT(protected_mode)

    .code32
protected_mode:
    mov $DATA, %eax
    mov %eax, %ds
    mov %eax, %es
    mov %eax, %ss
    mov $STACK, %esp
    STAGE(PROTECTED_MODE)
    mov $0x620, %eax            // PAE, OSFXSR, OSXMMEXCPT
    mov %eax, %cr4
    mov $PAGE_TABLES, %eax
    mov %eax, %cr3
    mov $0xc0000080, %ecx       // EFER: long mode, syscall
    rdmsr
    or $0x101, %eax
    wrmsr
    mov $0x80010033, %eax       // PG, WP, NE, ET, MP, PE
    mov %eax, %cr0
    ljmp $CODE64, $AT(long_mode)

    .code64
long_mode:
    STAGE(LONG_MODE)
    lidt AT(idt_pointer)
    mov $TASK, %eax
    ltr %ax
    xor %eax, %eax
    cpuid
    mov $1, %eax
    xor %ecx, %ecx
    cpuid
    bt $26, %ecx                // XSAVE
    jnc 1f
    mov %cr4, %rax
    bts $18, %rax
    mov %rax, %cr4
    xor %ecx, %ecx
    xgetbv
    or $3, %eax                 // x87, SSE
    xsetbv
1:  movq %rsp, %xmm0
    paddq %xmm0, %xmm0
    movq %xmm0, %rax
    cmp $(2 * STACK), %rax
    jne fail

    STAGE(MSRS)
    mov $AT(msrs), %ebx
1:  mov (%rbx), %ecx
    mov 4(%rbx), %eax
    mov 8(%rbx), %edx
    wrmsr
    rdmsr
    cmp 4(%rbx), %eax
    jne fail
    cmp 8(%rbx), %edx
    jne fail
    add $12, %ebx
    cmp $AT(msrs_end), %ebx
    jne 1b
    mov $0x277, %ecx            // PAT
    rdmsr
    wrmsr
    mov $0x1b, %ecx             // APIC base: the APIC is on
    rdmsr
    bt $11, %eax
    jnc fail

    STAGE(TIMER)
    mov $APIC, %ebx
    movl $0x1ff, 0xf0(%rbx)     // spurious vector, enabled
    movl $0, 0x80(%rbx)         // priority
    movl $0xb, 0x3e0(%rbx)      // divide by 1
    movl $TIMER_VECTOR, 0x320(%rbx)
    movl $1000000, 0x380(%rbx)  // 1 ms of KVM's APIC
1:  cli
    cmpl $0, AT(ticks)
    jne 2f
    sti
    hlt
    jmp 1b

2:  STAGE(USER_MODE)
    mov $AT(user_mode), %ecx
    mov $2, %r11d
    sysretq
user_mode:
    mov $USER_STACK, %esp
    push $FAULT
    pop %rbx
    mov (%rbx), %rax
    mov $0x55, %edi
    syscall
    jmp fail
system_call:
    mov $STACK, %esp
    cmp $0x55, %edi
    jne fail
    cmpl $1, AT(faults)
    jne fail
    swapgs
    swapgs

    STAGE(SPEED)
    mov $LOOPS, %ecx
1:  mov %rcx, COUNTER
    dec %ecx
    jnz 1b
    STAGE(DONE)
    hlt

fail:
    STAGE(FAILED)               // in ring 3 a fault, which says the same
    hlt
    jmp fail

timer_interrupt:
    incl AT(ticks)
    movl $0, 0xb0(%rbx)
    iretq

page_fault:
    testl $4, (%rsp)            // by ring 3
    jz fail
    mov %cr2, %rax
    cmp $FAULT, %rax
    jne fail
    movq $(FAULT | 7), LAST_TABLE + (FAULT >> 12) * 8
    invlpg (%rax)
    incl AT(faults)
    add $8, %rsp
    iretq

    .balign 8
ticks:
    .long 0
faults:
    .long 0

msrs:
    .long 0xc0000081, 0, (CODE32 << 16) | CODE64  // STAR
    .long 0xc0000082, AT(system_call), 0          // LSTAR
    .long 0xc0000084, 0x47700, 0                  // SFMASK
    .long 0xc0000100, 0x12345000, 0x7f            // FS base
    .long 0xc0000101, 0x12346000, 0x7f            // GS base
    .long 0xc0000102, 0x12347000, 0x7f            // GS base of swapgs
msrs_end:

    .balign 8
gdt:
    .quad 0
    .quad 0x00af9b000000ffff    // CODE64
    .quad 0x00cf93000000ffff    // DATA
    .quad 0x00cf9b000000ffff    // CODE32; for sysret the two below it
    .quad 0x00cff3000000ffff    // a user's data
    .quad 0x00affb000000ffff    // a user's code
    .word 0x67, AT(task)        // TASK
    .byte 0, 0x89, 0, 0
    .quad 0
gdt_pointer:
    .word gdt_pointer - gdt - 1
    .long AT(gdt)

    .balign 8
task:
    .long 0
    .quad FAULT_STACK
    .fill 0x68 - 12, 1, 0

    .macro gate handler
    .word AT(\handler), CODE64
    .byte 0, 0x8e
    .word 0
    .quad 0
    .endm
    .balign 16
idt:
    .rept 14
    gate fail
    .endr
    gate page_fault
    .rept TIMER_VECTOR - 15
    gate fail
    .endr
    gate timer_interrupt
idt_pointer:
    .word idt_pointer - idt - 1
    .quad AT(idt)
kvm_probe_guest_end:

    .section .note.GNU-stack, "", @progbits
