#include "cli/monitor/linux_commands.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <memory>
#include <utility>

#include "base/fd.h"
#include "base/result.h"
#include "cli/options/number.h"
#include "guests/linux/linux_kernel.h"
#include "guests/linux/module_file.h"
#include "guests/linux/modules.h"
#include "guests/linux/os_data.h"
#include "guests/linux/tasks.h"

namespace ringside::cli {
namespace {

using guests::LinuxKernel;
using guests::LinuxKernels;
using Kernels = std::shared_ptr<LinuxKernels>;

// A debugger's console need not take more.
constexpr std::size_t kMostLines = 2000;

Result<std::string> tasks(LinuxKernels& kernels) {
  const auto kernel = TRY(kernels.now());
  return describe_tasks(TRY(list_tasks(kernels.vm(), *kernel)), kMostLines);
}

Result<std::string> task(LinuxKernels& kernels, std::string_view arguments) {
  const auto pid = parse_number(arguments);
  if (!pid || *pid > 0xffffffff) return fail(ErrorCode::BadRequest, "it wants a task's number");
  const auto kernel = TRY(kernels.now());
  return describe_task(kernels.vm(), *kernel, static_cast<std::uint32_t>(*pid));
}

Result<guests::TaskTest> task_test(LinuxKernels& kernels, std::string_view kind,
                                   std::string_view value) {
  guests::TaskChoice choice;
  if (kind == "pid") {
    const auto pid = parse_number(value);
    if (!pid || *pid > 0xffffffff) return fail(ErrorCode::BadRequest, "pid wants a number");
    choice.pid = static_cast<std::uint32_t>(*pid);
  } else if (kind == "comm") {
    constexpr std::size_t kLongestComm = 15;  // TASK_COMM_LEN, with a zero at the end
    if (value.size() > kLongestComm) {
      return fail(ErrorCode::BadRequest,
                  fmt::format("Linux keeps {} characters of a task's name, so that none is called "
                              "'{}'; name it '{}'",
                              kLongestComm, value, value.substr(0, kLongestComm)));
    }
    choice.comm = value;
  } else {
    return fail(ErrorCode::BadRequest, "a task is named by pid or comm");
  }
  return test_for(TRY(kernels.now()), choice);
}

// A module's file in the debugger's folder, where the one that was loaded is there.
struct FoundFile {
  std::string name;
  guests::ModuleFile file;
};
std::optional<FoundFile> find_file(Folder& folder, const guests::Module& module,
                                   const guests::KernelMemory& memory) {
  constexpr std::size_t kLargest = 64u << 20;
  for (const std::string& name : guests::file_names(module.name)) {
    const Fd fd = folder.open_module(name);
    struct stat about {};
    if (!fd || ::fstat(fd.get(), &about) != 0) continue;
    const auto size = static_cast<std::size_t>(about.st_size);
    if (size > kLargest) continue;
    std::vector<std::byte> bytes(size);
    if (::pread(fd.get(), bytes.data(), size, 0) != static_cast<ssize_t>(size)) continue;
    auto file = guests::read_module_file(bytes);
    if (file && is_loaded_file(*file, module, memory)) return FoundFile{name, *std::move(file)};
  }
  return std::nullopt;
}

// One that comes has its sections in place, one that goes is gone.
Result<std::vector<debug::GuestLibrary>> libraries(LinuxKernels& kernels, Folder& folder) {
  const auto kernel = TRY(kernels.now());
  std::vector<debug::GuestLibrary> result;
  for (const guests::Module& module : TRY(list_modules(*kernel)).modules) {
    if (module.state != 'L' && module.state != 'C') continue;
    debug::GuestLibrary library{guests::library_name(module.name), {}};
    if (const auto found = find_file(folder, module, kernel->memory())) {
      library.name = found->name;
      library.sections = place_sections(found->file, module);
    } else {
      for (const guests::ModuleSection& section : module.sections)
        library.sections.push_back(section.address.value);
    }
    result.push_back(std::move(library));
  }
  return result;
}

Result<std::vector<Gva>> library_events(LinuxKernels& kernels) {
  const auto kernel = TRY(kernels.now());
  if (!kernel->module_comes() || !kernel->module_goes()) {
    return fail(ErrorCode::NotFound,
                "the kernel's symbols have no do_init_module and free_module, where modules come "
                "and go");
  }
  return std::vector<Gva>{*kernel->module_comes(), *kernel->module_goes()};
}

Result<std::string> modules(LinuxKernels& kernels, Folder& folder) {
  const auto kernel = TRY(kernels.now());
  const guests::ModuleList list = TRY(list_modules(*kernel));
  std::string text = describe_modules(list);
  std::string missing;
  for (const guests::Module& module : list.modules) {
    if (find_file(folder, module, kernel->memory())) continue;
    missing += (missing.empty() ? "" : ", ") + module.name;
  }
  if (!missing.empty()) {
    text +=
        "A debugger cannot place the sections of those whose file is not in the directory of\n"
        "--files, or is another one: " +
        missing + "\n";
  }
  return text;
}

Result<std::string> kaslr(LinuxKernels& kernels) {
  const auto kernel = TRY(kernels.now());
  std::string text = kernel->banner() + "\n";
  const std::uint64_t by = kernel->moved_by();
  if (by == 0) return text + "It is where it was linked to be.\n";
  return text + fmt::format(
                    "It was moved by {:#x}: its code begins at {:#x}. In GDB: symbol-file -o {:#x} "
                    "vmlinux\n",
                    by, kernel->text().value, by);
}

std::optional<Gva> moved_to(LinuxKernels& kernels) {
  const auto kernel = kernels.now();
  if (!kernel || (*kernel)->moved_by() == 0) return std::nullopt;
  return (*kernel)->text();
}

Result<std::string> vmcoreinfo(LinuxKernels& kernels) {
  const auto kernel = TRY(kernels.now());
  if (kernel->vmcoreinfo().empty())
    return fail(ErrorCode::NotFound, "the kernel has not written its VMCOREINFO yet");
  return kernel->vmcoreinfo();
}

}  // namespace

void add_linux(debug::ServerOptions& server, hypervisor::Vm& vm, Folder& files) {
  const Kernels kernels = std::make_shared<LinuxKernels>(vm);
  const auto show = [&](std::string name, std::string usage, std::string help, auto text_of) {
    debug::MonitorCommand command;
    command.name = name;
    command.usage = std::move(usage);
    command.help = std::move(help);
    command.looks = true;
    command.run = [kernels, name, text_of](std::string_view arguments) {
      const Result<std::string> text = text_of(*kernels, arguments);
      return text ? *text : fmt::format("{}: {}\n", name, text.error().text());
    };
    server.commands.push_back(std::move(command));
  };
  show("tasks", "",
       "Lists the tasks of a Linux in the guest: number, process, state, the vCPU that runs it, "
       "name.\n"
       "A kernel is needed that keeps its symbols (kallsyms), as distributions' kernels do. "
       "Without its\n"
       "type information (BTF) structures are known by their shapes.",
       [](LinuxKernels& known, std::string_view) { return tasks(known); });
  show("task", "PID",
       "Shows what a sleeping task of Linux has saved: registers, stack, return addresses.", task);
  show("modules", "",
       "Lists the modules of a Linux in the guest. For `info sharedlibrary` see modules watch.",
       [&files](LinuxKernels& known, std::string_view) { return modules(known, files); });
  show("kaslr", "",
       "Says how far a Linux in the guest was moved from where it was linked to be, and what to "
       "tell\n"
       "GDB then.",
       [](LinuxKernels& known, std::string_view) { return kaslr(known); });
  server.guest.libraries = [kernels, &files] { return libraries(*kernels, files); };
  server.guest.library_events = [kernels] { return library_events(*kernels); };
  server.guest.os_data = [kernels](std::string_view kind) { return os_data(*kernels, kind); };
  server.guest.moved_to = [kernels] { return moved_to(*kernels); };
  server.guest.vmcoreinfo = [kernels] { return vmcoreinfo(*kernels); };
  server.guest.task_test = [kernels](std::string_view kind, std::string_view value) {
    return task_test(*kernels, kind, value);
  };
}

}  // namespace ringside::cli
