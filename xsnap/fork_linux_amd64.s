#include "textflag.h"

#define SYS_clone 56
#define SYS_exit 60

// Offsets in callRow.
#define ROW_NR 0
#define ROW_ARG(n) (8+8*n)
#define ROW_MODE 56
#define ROW_WANT 64
#define ROW_OUT 72
#define ROW_SIZE 80

// func forkTable(flags uintptr, rows *callRow, n uintptr, report *callReport) (pid uintptr)
//
// The child has the parent's stack and must leave it as it is, or the parent
// would return to nowhere: it keeps all it needs in registers, which system
// calls preserve, and never returns.
TEXT ·forkTable(SB),NOSPLIT,$0-40
	MOVQ	rows+8(FP), R12
	MOVQ	n+16(FP), R13
	MOVQ	report+24(FP), R15
	MOVQ	flags+0(FP), DI
	XORL	SI, SI
	XORL	DX, DX
	XORL	R10, R10
	XORL	R8, R8
	MOVL	$SYS_clone, AX
	SYSCALL
	TESTQ	AX, AX
	JZ	child
	MOVQ	AX, pid+32(FP)
	RET

child:
	TESTQ	R13, R13
	JZ	end
	MOVQ	ROW_MODE(R12), BX
	MOVQ	ROW_ARG(0)(R12), DI
	BTQ	$8, BX
	JCC	direct
	MOVQ	(DI), DI
direct:
	MOVQ	ROW_NR(R12), AX
	MOVQ	ROW_ARG(1)(R12), SI
	MOVQ	ROW_ARG(2)(R12), DX
	MOVQ	ROW_ARG(3)(R12), R10
	MOVQ	ROW_ARG(4)(R12), R8
	MOVQ	ROW_ARG(5)(R12), R9
	SYSCALL
	MOVQ	ROW_OUT(R12), DX
	TESTQ	DX, DX
	JZ	judge
	MOVQ	AX, (DX)
judge:
	ANDL	$0xff, BX
	CMPL	BX, $1
	JEQ	next
	CMPL	BX, $2
	JEQ	compare
	CMPQ	AX, $-4095
	JCC	fail
next:
	ADDQ	$ROW_SIZE, R12
	DECQ	R13
	JMP	child

compare:
	CMPQ	AX, ROW_WANT(R12)
	JEQ	next
fail:
	MOVQ	R12, 0(R15)
	MOVQ	AX, 8(R15)
end:
	MOVL	$SYS_exit, AX
	MOVL	$127, DI
	SYSCALL
	JMP	end
