// Package web shows a daemon in a browser, read-only: pages made here, without
// scripts or anything from elsewhere, their JSON twins, metrics for Prometheus
// and a health check.
package web
