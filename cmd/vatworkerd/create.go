package main

import (
	"encoding/json"
	"errors"

	"github.com/spf13/cobra"

	"vatworkerd/kernelhost/config"
	"vatworkerd/pipeproto"
)

func (a *app) vatCreateCommand() *cobra.Command {
	var bundle, parameters string
	vat := config.Vat{Options: config.Options{
		Metered: true, FatalPolicy: config.PolicySuspend, OverrunPolicy: config.PolicyHold,
	}}
	var allowance int64
	cmd := &cobra.Command{
		Use: "create NAME --bundle NAME-OR-FILE", Short: "Create a vat that the config does not name", Args: oneVat,
		Long: "create makes a vat from a bundle and starts it. Unlike the vats of the config it is not static:\n" +
			"after a restart-all it stays suspended until a delivery comes.",
	}
	flags := cmd.Flags()
	flags.StringVar(&bundle, "bundle", "", "a bundle named in the config, or a file: a bundle's JSON, or a JavaScript source to bundle")
	flags.StringVar(&parameters, "parameters", "", "vat parameters, as JSON")
	flags.BoolVar(&vat.Options.Critical, "critical", false, "a fatal error of the vat panics")
	flags.BoolVar(&vat.Options.RestartCritical, "restart-critical", false, "start the vat at once after a restart-all, or panic")
	flags.StringVar(&vat.Options.FatalPolicy, "fatal-policy", config.PolicySuspend, "what a fatal error does: suspend or terminate")
	flags.StringVar(&vat.Options.OverrunPolicy, "overrun-policy", config.PolicyHold, "what becomes of a delivery that overruns the allowance: hold or commit")
	flags.Int64Var(&allowance, "allowance", 0, "computrons the vat may use until it is refilled (default: no limit)")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		vat.Name = args[0]
		if allowance > 0 {
			vat.Options.Allowance = &allowance
		}
		if err := checkCreate(vat, bundle, parameters); err != nil {
			return err
		}
		if parameters != "" {
			vat.Parameters = json.RawMessage(parameters)
		}
		return a.changeVat(cmd.Context(), vat.Name, func(s *session) error { return s.create(vat, bundle) })
	}
	return cmd
}

// checkCreate refuses what can be refused before the database is opened.
func checkCreate(vat config.Vat, bundle, parameters string) error {
	if bundle == "" {
		return usageError("cannot create: --bundle is needed").hint("name a bundle of the config or a file")
	}
	if parameters != "" {
		if err := checkJSON(parameters); err != nil {
			return usageError("cannot use --parameters: %v", err)
		}
	}
	if p := vat.Options.FatalPolicy; p != config.PolicySuspend && p != config.PolicyTerminate {
		return usageError("cannot use --fatal-policy %q: it is suspend or terminate", p)
	}
	if p := vat.Options.OverrunPolicy; p != config.PolicyHold && p != config.PolicyCommit {
		return usageError("cannot use --overrun-policy %q: it is hold or commit", p)
	}
	return nil
}

// create makes the vat and starts it; one that does not start is not kept.
func (s *session) create(vat config.Vat, bundle string) (err error) {
	if vat.BundleID, err = s.bundleID(bundle); err != nil {
		return err
	}
	vatID, err := s.kernel.CreateVat(s.ctx, vat)
	if err != nil {
		return err
	}
	if _, err = s.kernel.Unsuspend(s.ctx, vatID, pipeproto.ReasonCreated); isVatFault(err) {
		return errors.Join(failureOf(err), s.kernel.Rollback(s.ctx))
	}
	return err
}
