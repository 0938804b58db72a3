package xsnap

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// PinTo lets the worker run on one CPU only. With the owner's thread pinned to
// the same CPU (PinThread) a syscall round trip needs no wake-up of another
// CPU; the two never run at the same time during a delivery.
func (w *Worker) PinTo(cpu int) error {
	set, err := oneCPU(cpu)
	if err != nil {
		return err
	}
	return w.setAffinity(&set)
}

// KeepOff lets the worker run on every CPU but one, where deliveries to others
// shall not be disturbed; with no other CPU to go to it stays.
func (w *Worker) KeepOff(cpu int) error {
	others := w.allCPU
	others.Clear(cpu)
	if others.Count() == 0 {
		return nil
	}
	return w.setAffinity(&others)
}

// Unpin lets the worker run on every CPU its Spawner could use.
func (w *Worker) Unpin() error { return w.setAffinity(&w.allCPU) }

func (w *Worker) setAffinity(set *unix.CPUSet) error {
	err := w.proc.withPID(func(pid int) error { return unix.SchedSetaffinity(pid, set) })
	if err != nil {
		return fmt.Errorf("cannot set the CPUs of worker %s: %w", w.Name(), err)
	}
	return nil
}

// PinThread lets the calling OS thread, to which the caller has locked its
// goroutine, run on one CPU only; unpin, called on the same thread, undoes it.
func PinThread(cpu int) (unpin func() error, err error) {
	var before unix.CPUSet
	if err := unix.SchedGetaffinity(0, &before); err != nil {
		return nil, fmt.Errorf("cannot read the thread's CPUs: %w", err)
	}
	set, err := oneCPU(cpu)
	if err != nil {
		return nil, err
	}
	if err := unix.SchedSetaffinity(0, &set); err != nil {
		return nil, fmt.Errorf("cannot pin the thread to CPU %d: %w", cpu, err)
	}
	return func() error {
		if err := unix.SchedSetaffinity(0, &before); err != nil {
			return fmt.Errorf("cannot unpin the thread: %w", err)
		}
		return nil
	}, nil
}

// CPUs lists the CPUs that the Spawner's workers may run on.
func (s *Spawner) CPUs() []int {
	var all []int
	for cpu := 0; len(all) < s.allCPU.Count(); cpu++ {
		if s.allCPU.IsSet(cpu) {
			all = append(all, cpu)
		}
	}
	return all
}

func oneCPU(cpu int) (unix.CPUSet, error) {
	var set unix.CPUSet
	set.Set(cpu)
	if !set.IsSet(cpu) {
		return unix.CPUSet{}, fmt.Errorf("there is no CPU %d", cpu)
	}
	return set, nil
}
