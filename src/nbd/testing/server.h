// An NBD server in a process of its own, with the content of a disk in memory, that can be told to
// fail and to lie (the NBD protocol's proto.md: fixed newstyle negotiation, simple replies). One
// client after the other. For tests only.
#pragma once

#include <endian.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "transport/unix_address.h"

namespace ringside::nbd::testing {

enum class Fault : std::uint32_t {
  None,
  ReadFails,
  WriteFails,    // no space
  AnswersLater,  // once another fault is set, or none
  Vanishes,      // with the next request
  WrongCookie,
  WrongMagic,
  CutData,  // and then it is gone
};

struct Export {
  std::uint64_t size = 0;
  std::uint64_t claimed = 0;  // instead of the size, if it is another
  bool is_read_only = false;
  bool has_flush = true;
  std::uint32_t least = 1, most = 32 << 20;  // of a request
  bool is_no_server = false;                 // it says something else
};

class Server {
 public:
  // `path`: of its socket.
  Server(std::string path, const Export& what) : path_(std::move(path)), export_(what) {
    state_ = static_cast<State*>(shared(sizeof(State)));
    content_ = static_cast<std::byte*>(shared(export_.size));
    ::unlink(path_.c_str());
    const auto address = transport::unix_address(path_);
    const int listener = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (!address || ::bind(listener, address->any(), address->kSize) != 0 ||
        ::listen(listener, 4) != 0)
      std::abort();
    process_ = ::fork();
    if (process_ == 0) {
      ::signal(SIGPIPE, SIG_IGN);
      for (;;)
        talk(::accept(listener, nullptr, nullptr));
    }
    ::close(listener);
  }
  ~Server() {
    end();
    ::unlink(path_.c_str());
    ::munmap(content_, export_.size);
    ::munmap(state_, sizeof(State));
  }
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  std::byte* content() { return content_; }
  // From the next request on. `after`: so many are served well before.
  void set(Fault fault, std::uint32_t after = 0) {
    state_->after = after;
    state_->fault = fault;
  }
  unsigned requests() const { return state_->requests; }
  unsigned flushes() const { return state_->flushes; }
  unsigned clients_gone() const { return state_->clients_gone; }
  std::uint32_t largest() const { return state_->largest; }
  // It and its connections are gone.
  void end() {
    if (process_ <= 0) return;
    ::kill(process_, SIGKILL);
    ::waitpid(process_, nullptr, 0);
    process_ = -1;
  }

 private:
  struct State {
    std::atomic<Fault> fault{};
    std::atomic<std::uint32_t> after{}, requests{}, flushes{}, clients_gone{}, largest{};
  };

  static void* shared(std::size_t size) {
    void* const memory =
        ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) std::abort();
    return memory;
  }

  // ---- In the server's process

  static std::uint16_t big(std::uint16_t value) { return htobe16(value); }
  static std::uint32_t big(std::uint32_t value) { return htobe32(value); }
  static std::uint64_t big(std::uint64_t value) { return htobe64(value); }

  class Bytes {
   public:
    template <typename T>
    Bytes& add(T value) {
      const T big_endian = big(value);
      const auto* const bytes = reinterpret_cast<const std::byte*>(&big_endian);
      bytes_.insert(bytes_.end(), bytes, bytes + sizeof value);
      return *this;
    }
    const std::vector<std::byte>& all() const { return bytes_; }

   private:
    std::vector<std::byte> bytes_;
  };

  bool send(const void* data, std::size_t size) const {
    for (const auto* at = static_cast<const char*>(data); size != 0;) {
      const ssize_t sent = ::send(client_, at, size, MSG_NOSIGNAL);
      if (sent <= 0) return false;
      at += sent;
      size -= static_cast<std::size_t>(sent);
    }
    return true;
  }
  bool send(const Bytes& bytes) const { return send(bytes.all().data(), bytes.all().size()); }
  bool receive(void* data, std::size_t size) const {
    for (auto* at = static_cast<char*>(data); size != 0;) {
      const ssize_t got = ::recv(client_, at, size, 0);
      if (got <= 0) return false;
      at += got;
      size -= static_cast<std::size_t>(got);
    }
    return true;
  }
  template <typename T>
  bool take(T& value) const {
    if (!receive(&value, sizeof value)) return false;
    value = big(value);
    return true;
  }

  void talk(int client) {
    if (client < 0) return;
    client_ = client;
    if (agree()) {
      while (serve_request()) {
      }
    }
    ::close(client_);
    ++state_->clients_gone;
  }

  bool agree() const {
    if (export_.is_no_server) return send("220 mail.example.org\r\n", 22) && false;
    constexpr std::uint64_t kOption = 0x49484156454f5054;
    if (!send(Bytes().add<std::uint64_t>(0x4e42444d41474943).add(kOption).add<std::uint16_t>(3)))
      return false;
    std::uint32_t flags = 0;
    if (!take(flags)) return false;
    for (;;) {
      std::uint64_t magic = 0;
      std::uint32_t option = 0, size = 0;
      if (!take(magic) || magic != kOption || !take(option) || !take(size)) return false;
      std::vector<char> data(size);
      if (!receive(data.data(), size)) return false;
      constexpr std::uint32_t kGo = 7, kUnknown = 0x80000001;
      if (option != kGo) {
        if (!reply(option, kUnknown, {})) return false;
        continue;
      }
      const auto properties = static_cast<std::uint16_t>(1 | (export_.is_read_only ? 2 : 0) |
                                                         (export_.has_flush ? 4 : 0));
      constexpr std::uint32_t kInformation = 3, kAgreed = 1;
      return reply(option, kInformation,
                   Bytes()
                       .add<std::uint16_t>(0)
                       .add(export_.claimed != 0 ? export_.claimed : export_.size)
                       .add(properties)) &&
             reply(option, kInformation,
                   Bytes()
                       .add<std::uint16_t>(3)
                       .add(export_.least)
                       .add(export_.most)
                       .add(export_.most)) &&
             reply(option, kAgreed, {});
    }
  }
  bool reply(std::uint32_t option, std::uint32_t type, const Bytes& data) const {
    return send(Bytes()
                    .add<std::uint64_t>(0x3e889045565a9)
                    .add(option)
                    .add(type)
                    .add(static_cast<std::uint32_t>(data.all().size()))) &&
           send(data);
  }

  Fault next_fault() const {
    if (state_->fault != Fault::None && state_->after != 0) {
      --state_->after;
      return Fault::None;
    }
    return state_->fault;
  }

  bool serve_request() const {
    std::uint32_t magic = 0, size = 0;
    std::uint16_t flags = 0, type = 0;
    std::uint64_t cookie = 0, offset = 0;
    if (!take(magic) || magic != 0x25609513 || !take(flags) || !take(type) || !take(cookie) ||
        !take(offset) || !take(size))
      return false;
    constexpr std::uint16_t kRead = 0, kWrite = 1, kFlush = 3;
    std::vector<std::byte> data(type == kRead || type == kWrite ? size : 0);
    if (type == kWrite && !receive(data.data(), size)) return false;
    if (type != kRead && type != kWrite && type != kFlush) return false;
    state_->largest = std::max<std::uint32_t>(state_->largest, size);
    Fault fault = next_fault();
    ++state_->requests;
    while (fault == Fault::AnswersLater) {
      char byte = 0;
      if (::recv(client_, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 0) return false;
      ::usleep(200);
      fault = state_->fault;
    }
    if (fault == Fault::Vanishes) return false;
    std::uint32_t error = 0;
    if (offset > export_.size || size > export_.size - offset) error = EINVAL;
    if (fault == Fault::ReadFails && type == kRead) error = EIO;
    if (fault == Fault::WriteFails && type == kWrite) error = ENOSPC;
    if (error == 0 && type == kRead) std::memcpy(data.data(), content_ + offset, size);
    if (error == 0 && type == kWrite) std::memcpy(content_ + offset, data.data(), size);
    if (type == kFlush) ++state_->flushes;
    const std::uint32_t reply_magic = fault == Fault::WrongMagic ? 0x12345678 : 0x67446698;
    if (!send(Bytes()
                  .add(reply_magic)
                  .add(error)
                  .add(fault == Fault::WrongCookie ? cookie + 1 : cookie)))
      return false;
    if (error != 0 || type != kRead) return true;
    const bool is_cut = fault == Fault::CutData;
    return send(data.data(), is_cut ? size / 2 : size) && !is_cut;
  }

  std::string path_;
  Export export_;
  State* state_;
  std::byte* content_;
  pid_t process_ = -1;
  int client_ = -1;
};

}  // namespace ringside::nbd::testing
