package main

import (
	"errors"
	"fmt"
	"net"
	"os"
)

// tellManager tells the service manager that started this process, if one wants
// to be told, a state such as "READY=1" (sd_notify(3)).
func tellManager(state string) error {
	path := os.Getenv("NOTIFY_SOCKET")
	if path == "" {
		return nil
	}
	conn, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		return fmt.Errorf("cannot reach the service manager: %w", err)
	}
	_, err = conn.Write([]byte(state))
	return errors.Join(err, conn.Close())
}
