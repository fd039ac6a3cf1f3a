"""The console's words in other languages; English is the key. What is not in here is shown in English."""

from collections.abc import Mapping
from typing import Final

_CHINESE: Final[Mapping[str, str]] = {
    "Overview": "概览",
    "Servers": "云服务器",
    "Hosts": "主机",
    "Failures": "故障",
    "Usage": "用量",
    "Feed": "事件流",
    "Sign in": "登录",
    "Sign out": "退出",
    "User": "用户",
    "Password": "密码",
    "Project": "项目",
    "Services": "服务",
    "Capacity": "容量",
    "In progress": "进行中",
    "Everything is well.": "一切正常。",
    "Some servers are in error.": "有云服务器出错。",
    "Something is down.": "有服务中断。",
    "Name": "名称",
    "Status": "状态",
    "Task": "任务",
    "Host": "主机",
    "Flavor": "规格",
    "Address": "地址",
    "Created": "创建于",
    "Search by name, id or address": "按名称、ID 或地址搜索",
    "Search": "搜索",
    "All projects": "所有项目",
    "Own project": "本项目",
    "Timeline": "时间线",
    "Conditions": "状况",
    "Where it was placed, and why": "调度结果与原因",
    "Facts": "基本信息",
    "What to do": "怎么办",
    "The same by command": "对应命令",
    "Copy": "复制",
    "as of": "截至",
    "servers": "台云服务器",
    "Zone": "可用域",
    "State": "状况",
    "Limits": "配额",
    "Used": "已用",
    "Hours": "小时",
    "Event": "事件",
    "Time": "时间",
    "Operation": "操作",
    "Phase": "阶段",
    "Sinks": "接收端",
    "Nothing failed.": "没有故障。",
    "There are no servers yet. Make the first one:": "还没有云服务器。创建第一台：",
    "This login may not see hosts.": "当前登录无权查看主机。",
}


def translated(text: str, language: str) -> str:
    """The text in a language (``zh``, else English)."""
    return _CHINESE.get(text, text) if language == "zh" else text
