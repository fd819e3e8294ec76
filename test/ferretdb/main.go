// A MongoDB-compatible server for the tests, where no mongod is to be had: FerretDB on SQLite, embedded.
//
//	ferretdb ADDRESS:PORT DIRECTORY
//
// FerretDB finds the documents an update is for and writes them in two steps, between which another update may come; MongoDB
// promises that it does not. In front of it, therefore, commands that change documents pass one at a time.
package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"log"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"sync"
	"syscall"

	"github.com/FerretDB/FerretDB/ferretdb"
)

const (
	headLen    = 16
	opMsg      = 2013
	commandAt  = headLen + 4 + 1 + 4 + 1 // flags, kind of section, length of the document, type of its first member
	maxMessage = 64 << 20
)

var changing = map[string]bool{"update": true, "findAndModify": true, "findandmodify": true, "delete": true, "insert": true, "createIndexes": true}

func message(r io.Reader) ([]byte, error) {
	head := make([]byte, headLen)
	if _, err := io.ReadFull(r, head); err != nil {
		return nil, err
	}
	n := int(binary.LittleEndian.Uint32(head))
	if n < headLen || n > maxMessage {
		return nil, fmt.Errorf("a message of %d bytes", n)
	}
	whole := append(head, make([]byte, n-headLen)...)
	_, err := io.ReadFull(r, whole[headLen:])
	return whole, err
}

// The name of the command is the first member of its document.
func command(m []byte) string {
	if len(m) <= commandAt || binary.LittleEndian.Uint32(m[12:]) != opMsg {
		return ""
	}
	name, _, _ := bytes.Cut(m[commandAt:], []byte{0})
	return string(name)
}

func exchange(client, server net.Conn, lock *sync.Mutex) error {
	asked, err := message(client)
	if err != nil {
		return err
	}
	if changing[command(asked)] {
		lock.Lock()
		defer lock.Unlock()
	}
	if _, err := server.Write(asked); err != nil {
		return err
	}
	answer, err := message(server)
	if err != nil {
		return err
	}
	_, err = client.Write(answer)
	return err
}

func serve(client net.Conn, inner string, lock *sync.Mutex) {
	defer client.Close()
	server, err := net.Dial("unix", inner)
	if err != nil {
		return
	}
	defer server.Close()
	for exchange(client, server, lock) == nil {
	}
}

func main() {
	if len(os.Args) != 3 {
		log.Fatal("usage: ferretdb ADDRESS:PORT DIRECTORY")
	}
	inner := filepath.Join(os.Args[2], "inner.sock")
	os.Remove(inner)
	f, err := ferretdb.New(&ferretdb.Config{
		Listener:  ferretdb.ListenerConfig{Unix: inner},
		Handler:   "sqlite",
		SQLiteURL: "file:" + os.Args[2] + "/",
	})
	if err != nil {
		log.Fatal(err)
	}
	listener, err := net.Listen("tcp", os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	var lock sync.Mutex
	go func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				log.Fatal(err)
			}
			go serve(client, inner, &lock)
		}
	}()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	if err := f.Run(ctx); err != nil {
		log.Fatal(err)
	}
}
