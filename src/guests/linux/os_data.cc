#include "guests/linux/os_data.h"

#include <fmt/format.h>

#include "base/result.h"
#include "base/xml.h"
#include "guests/linux/modules.h"
#include "guests/linux/tasks.h"

namespace ringside::guests {
namespace {

class Table {
 public:
  explicit Table(std::string_view kind) {
    text_ = fmt::format("<?xml version=\"1.0\"?>\n<osdata type=\"{}\">\n", kind);
  }
  Table& row(std::initializer_list<std::pair<std::string_view, std::string>> columns) {
    text_ += "<item>";
    for (const auto& [name, value] : columns)
      text_ += fmt::format("<column name=\"{}\">{}</column>", name, xml_text(value));
    text_ += "</item>\n";
    return *this;
  }
  std::string str() && { return std::move(text_) + "</osdata>\n"; }

 private:
  std::string text_;
};

// The first column leads to the table: GDB's words for `info os` alone.
std::string types() {
  Table table("types");
  const auto row = [&](const char* type, const char* title, const char* words) {
    table.row({{"Type", type}, {"Description", words}, {"Title", title}});
  };
  row("cpus", "CPUs", "What each vCPU runs");
  row("modules", "Modules", "Modules of Linux that are loaded");
  row("processes", "Processes", "Processes of Linux and their threads");
  return std::move(table).str();
}

std::string cpus(hypervisor::Vm& vm, const LinuxKernel& kernel, const TaskList& list) {
  Table table("cpus");
  for (std::uint32_t i = 0; i < vm.vcpu_count(); ++i) {
    if (!vm.vcpu({i}).active()) continue;
    const auto running = kernel.running({i});
    std::string pid, command;
    for (const Task& task : list.tasks) {
      if (!running || task.address != running->task) continue;
      pid = std::to_string(task.pid);
      command = task.comm;
    }
    table.row({{"vcpu", std::to_string(i)},
               {"cpu", running ? std::to_string(running->cpu) : ""},
               {"pid", pid},
               {"command", command}});
  }
  return std::move(table).str();
}

std::string processes(const TaskList& list) {
  Table table("processes");
  for (const Task& task : list.tasks) {
    table.row({{"pid", std::to_string(task.pid)},
               {"process", std::to_string(task.tgid)},
               {"state", std::string(1, task.state)},
               {"vcpu", task.vcpu ? std::to_string(task.vcpu->value) : ""},
               {"command", task.comm}});
  }
  if (!list.cut_off.empty()) table.row({{"pid", ""}, {"command", "not all: " + list.cut_off}});
  return std::move(table).str();
}

std::string modules(const ModuleList& list) {
  Table table("modules");
  for (const Module& module : list.modules) {
    table.row({{"name", module.name},
               {"address", fmt::format("{:#x}", module.base.value)},
               {"size", std::to_string(module.size)},
               {"state", std::string(1, module.state)}});
  }
  if (!list.cut_off.empty()) table.row({{"name", "not all: " + list.cut_off}});
  return std::move(table).str();
}

}  // namespace

Result<std::string> os_data(LinuxKernels& kernels, std::string_view kind) {
  if (kind.empty()) return types();
  if (kind != "cpus" && kind != "modules" && kind != "processes") {
    return fail(ErrorCode::NotFound,
                "there is no such table; there are cpus, modules and processes");
  }
  const auto kernel = TRY(kernels.now());
  if (kind == "modules") return modules(TRY(list_modules(*kernel)));
  const TaskList list = TRY(list_tasks(kernels.vm(), *kernel));
  return kind == "cpus" ? cpus(kernels.vm(), *kernel, list) : processes(list);
}

}  // namespace ringside::guests
