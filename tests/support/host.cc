#include "support/host.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <exception>

#include "support/child_process.h"
#include "support/guest_image.h"

namespace ringside::testing::host {
namespace {

using Stream = ChildProcess::Stream;

// What the program says when it cannot use an engine, or an empty string where it can. What else
// goes wrong with an engine is no reason to skip: the tests shall find it.
std::string refusal(const std::string& name) {
  ChildProcess program(
      {RINGSIDE_PROGRAM, "-e", name, GuestImage("end_debug_exit").path(), "--debug-exit"});
  try {
    program.await(Stream::Output, "r");
    return "";
  } catch (const std::exception&) {
  }
  const std::string& said = program.text(Stream::Error);
  const std::string start = "--engine " + name + ": ";
  const std::size_t from = said.find(start), to = said.find("; --engine soft works on every host");
  if (from == std::string::npos || to == std::string::npos) return "";
  return said.substr(from + start.size(), to - from - start.size());
}

}  // namespace

std::string no_program(const std::string& name) {
  try {
    ChildProcess program({name, "--version"});
    return program.await_exit() == 0 ? "" : name + " does not work here";
  } catch (const std::exception&) {
    return name + " is not installed";
  }
}

std::string no_engine(std::string_view name, std::string_view reason) {
  if (reason.empty()) return "";
  return "engine " + std::string(name) + " is not to be had: " + std::string(reason);
}

std::string no_engine(const std::string& name) {
  return name == "soft" ? "" : no_engine(name, refusal(name));
}

std::string no_library(const std::string& name) {
  void* const library = ::dlopen(name.c_str(), RTLD_LAZY);
  if (library == nullptr) return name + " is not installed";
  ::dlclose(library);
  return {};
}

std::string no_pseudo_terminals() {
  const Fd terminal(::posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC));
  char name[100];
  const bool there = terminal && ::grantpt(terminal.get()) == 0 &&
                     ::unlockpt(terminal.get()) == 0 &&
                     ::ptsname_r(terminal.get(), name, sizeof name) == 0 &&
                     Fd(::open(name, O_RDWR | O_NOCTTY | O_CLOEXEC));
  return there ? "" : "this host gives no pseudo-terminals";
}

std::string no_mount_namespaces() {
  try {
    ChildProcess probe({"unshare", "-rm", "mount", "--bind", "/dev/null", "/dev/zero"});
    if (probe.await_exit() == 0) return "";
  } catch (const std::exception&) {
  }
  return "this user may not make mount namespaces";
}

std::string no_other_user() { return ::geteuid() == 0 ? "" : "only root can become another user"; }

std::string no_network_namespaces() {
  const Fd here(::open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC));
  if (here && ::unshare(CLONE_NEWNET) == 0 && ::setns(here.get(), CLONE_NEWNET) == 0) return "";
  return "this user may not make network namespaces";
}

std::string no_tracing() {
  ChildProcess gdb({"gdb", "-nx", "-batch", "-ex", "run", "/bin/true"});
  gdb.await_exit();
  return gdb.text(Stream::Output).find("exited normally") != std::string::npos
             ? ""
             : "no process may be traced here";
}

std::string no_restriction(const std::string& how) {
  ChildProcess probe({RINGSIDE_RESTRICTED, how, "/bin/true"});
  return probe.await_exit() == 0 ? "" : "no process can be restricted by " + how + " here";
}

}  // namespace ringside::testing::host
