package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"vatworkerd/kernelhost"
	"vatworkerd/pipeproto"
)

func (a *app) vatCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "vat", Short: "Show vats and change what becomes of them", Args: noCommand,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(
		a.vatListCommand(), a.vatShowCommand(), a.vatCreateCommand(),
		a.vatControlCommand("pause", "Hold a vat's deliveries and free its worker", (*kernelhost.Kernel).Pause),
		a.vatControlCommand("resume", "Deliver to a paused vat again, what was held first", (*kernelhost.Kernel).Resume),
		a.vatSuspendCommand(),
		a.vatControlCommand("unsuspend", "Start a new incarnation of a suspended vat", (*kernelhost.Kernel).Unsuspend),
		a.vatControlCommand("terminate", "End a vat for good; senders of what waits for it get an error", (*kernelhost.Kernel).Terminate),
		a.vatUpgradeCommand(), a.vatRefillCommand(),
		a.vatPinCommand("pin", "Have a vat keep its worker whoever else needs one", true),
		a.vatPinCommand("unpin", "Let a vat be paged out like others", false),
	)
	return cmd
}

func (a *app) vatListCommand() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List the vats", Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.withView(cmd.Context(), func(s *session) error {
				st, err := s.see.Status(s.ctx, "", everyVat)
				if err != nil {
					return err
				}
				if a.json {
					return a.document(vatDocsOf(st.Vats))
				}
				return writeVats(a.stdout, a.palette(), st.Vats)
			})
		},
	}
}

func (a *app) vatShowCommand() *cobra.Command {
	return &cobra.Command{
		Use: "show VAT", Short: "Show all there is to know about a vat", Args: oneVat,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.withView(cmd.Context(), func(s *session) error {
				v, err := s.see.Vat(s.ctx, args[0])
				if err != nil {
					return err
				}
				if a.json {
					return a.document(vatDocOf(v))
				}
				return writeVat(a.stdout, a.palette(), v)
			})
		},
	}
}

// vatControl is a request of the holder of a vat's admin node.
type vatControl func(k *kernelhost.Kernel, ctx context.Context, vat, reason string) (pipeproto.VatStatus, error)

func (a *app) vatControlCommand(verb, about string, do vatControl) *cobra.Command {
	var reason string
	cmd := &cobra.Command{Use: verb + " VAT", Short: about, Args: oneVat}
	cmd.Flags().StringVar(&reason, "reason", "", "why, for people; kept in the vat's record")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return a.changeVat(cmd.Context(), args[0], func(s *session) error {
			_, err := do(s.kernel, s.ctx, args[0], reason)
			return err
		})
	}
	return cmd
}

func (a *app) vatSuspendCommand() *cobra.Command {
	var deliberate bool
	cmd := a.vatControlCommand("suspend", "End a vat's incarnation; the next delivery starts another",
		func(k *kernelhost.Kernel, ctx context.Context, vat, reason string) (pipeproto.VatStatus, error) {
			if deliberate {
				return k.SuspendDeliberately(ctx, vat, reason)
			}
			return k.Suspend(ctx, vat, reason)
		})
	cmd.Long = "suspend ends the vat's incarnation: worker, transcript and heap snapshot go, durable state, queue\n" +
		"and parameters stay. The next delivery starts a new incarnation; with --deliberate deliveries\n" +
		"are held until the vat is unsuspended or upgraded."
	cmd.Flags().BoolVar(&deliberate, "deliberate", false, "hold deliveries until the vat is unsuspended or upgraded")
	return cmd
}

// changeVat changes a vat, lets everything run that can, and tells how the vat
// stands then. A vat that failed to start is changed too: it keeps the error.
func (a *app) changeVat(ctx context.Context, vat string, change func(*session) error) error {
	return a.withKernel(ctx, func(s *session) error {
		failure := change(s)
		if failure != nil && !isVatFault(failure) {
			return failure
		}
		if _, err := s.kernel.Run(s.ctx, wholeRun(0)); err != nil {
			return errors.Join(failure, err)
		}
		v, err := s.kernel.Vat(s.ctx, vat)
		if err != nil {
			return err
		}
		if failure != nil {
			return failureOf(failure).hint("%s", afterFault(v))
		}
		if a.json {
			return a.document(vatDocOf(v))
		}
		return writeVat(a.stdout, a.palette(), v)
	})
}

// afterFault tells how a vat stands that could not start anew.
func afterFault(v pipeproto.VatStatus) string {
	if !v.Suspended {
		return "its old incarnation serves again; nothing was changed"
	}
	return fmt.Sprintf("%s stays deliberately suspended: upgrade it to a bundle that starts, or try again with `vatworkerd vat unsuspend %s`", v.VatID, v.VatID)
}

func isVatFault(err error) bool {
	var wire *pipeproto.Error
	return errors.As(err, &wire) && wire.Code == pipeproto.CodeVatFault
}

func (a *app) vatUpgradeCommand() *cobra.Command {
	var bundle, parameters, message string
	cmd := &cobra.Command{
		Use: "upgrade VAT --bundle NAME-OR-FILE", Short: "Start a new incarnation of a vat on a new bundle", Args: oneVat,
		Long: "upgrade ends the vat's incarnation and starts the next one on the new bundle. If its startVat\n" +
			"fails, the vat goes on as it was; a suspended vat stays deliberately suspended.",
	}
	cmd.Flags().StringVar(&bundle, "bundle", "", "a bundle named in the config, or a file: a bundle's JSON, or a JavaScript source to bundle")
	cmd.Flags().StringVar(&parameters, "parameters", "", "new vat parameters, as JSON (default: the old ones)")
	cmd.Flags().StringVar(&message, "message", "", "why, for the vat's clients: promises it had decided are rejected with it")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if bundle == "" {
			return usageError("cannot upgrade: --bundle is needed").hint("name a bundle of the config or a file")
		}
		if parameters != "" {
			if err := checkJSON(parameters); err != nil {
				return usageError("cannot use --parameters: %v", err)
			}
		}
		return a.changeVat(cmd.Context(), args[0], func(s *session) error {
			return s.upgrade(args[0], bundle, parameters, message)
		})
	}
	return cmd
}

func (a *app) vatRefillCommand() *cobra.Command {
	var computrons int64
	cmd := &cobra.Command{
		Use: "refill VAT --computrons N", Short: "Add computrons to a vat's allowance", Args: oneVat,
		Long: "refill adds to the computrons that a vat with an allowance may still use. A vat that was paused\n" +
			"by an overrun stays paused until it is resumed.",
	}
	cmd.Flags().Int64Var(&computrons, "computrons", 0, "how many to add")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if computrons <= 0 {
			return usageError("cannot refill: --computrons must say how many, at least 1")
		}
		return a.changeVat(cmd.Context(), args[0], func(s *session) error {
			_, err := s.kernel.Refill(s.ctx, args[0], computrons)
			return err
		})
	}
	return cmd
}

func (a *app) vatPinCommand(verb, about string, pinned bool) *cobra.Command {
	return &cobra.Command{
		Use: verb + " VAT", Short: about, Args: oneVat,
		Long: about + ". Pinned vats are preloaded first and never paged out to make room\n" +
			"(docs/pool.md). This is remembered on this machine and is nobody else's business.",
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.withAccess(cmd.Context(), pipeproto.AccessAdmin, func(s *session) error {
				v, err := s.see.Pin(s.ctx, args[0], pinned)
				if err != nil {
					return err
				}
				if a.json {
					return a.document(vatDocOf(v))
				}
				return writeVat(a.stdout, a.palette(), v)
			})
		},
	}
}

func oneVat(cmd *cobra.Command, args []string) error {
	if len(args) == 1 && args[0] != "" {
		return nil
	}
	if len(args) > 1 {
		return usageError("%s takes one vat, but was also given %q", nameOf(cmd), args[1])
	}
	return usageError("%s needs a vat: its name or ID", nameOf(cmd)).hint("`vatworkerd vat list` shows them")
}

func anyVat(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	return oneVat(cmd, args)
}

// checkJSON tells what is wrong with text that should be one JSON value.
func checkJSON(text string) error {
	var v json.RawMessage
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		return fmt.Errorf("%.60q is no JSON: %w", text, err)
	}
	return nil
}
