package main

import (
	"github.com/spf13/cobra"
	"k8s.io/kubectl/pkg/cmd"
)

// newKubectl serves machines that have no kubectl of their own.
func newKubectl() *cobra.Command { return cmd.NewDefaultKubectlCommand() }
